#!/usr/bin/env escript
%% -*- erlang -*-
%% A TLS 1.3 party on Erlang's ssl, told what to do line by line on standard input (see line-peer.ts).
%%
%% Usage: escript erlang-peer.escript CERT.pem KEY.pem CA.pem

main([]) ->
    ok = application:load(ssl),
    {ok, Version} = application:get_key(ssl, vsn),
    io:format("Erlang/OTP ~s (ssl ~s)~n", [erlang:system_info(otp_release), Version]);
main([Cert, Key, Anchors]) ->
    {ok, _} = application:ensure_all_started(ssl),
    Own = [
        {versions, ['tlsv1.3']},
        {certfile, Cert},
        {keyfile, Key},
        {cacertfile, Anchors},
        {verify, verify_peer},
        {active, false},
        {mode, binary},
        {log_level, none}
    ],
    io:format("ready~n"),
    obey(Own).

obey(Own) ->
    case io:get_line("") of
        eof ->
            ok;
        Line ->
            case string:lexemes(Line, " \n") of
                ["connect", Id, Port | Wishes] ->
                    spawn(fun() -> attempt(Id, fun() -> connect(Id, list_to_integer(Port), Wishes, Own) end) end),
                    obey(Own);
                ["serve", Id | Wishes] ->
                    Options = [{fail_if_no_peer_cert, false} | groups(Wishes)] ++ Own,
                    {ok, Listener} = ssl:listen(0, [{ip, {127, 0, 0, 1}} | Options]),
                    {ok, {_, Port}} = ssl:sockname(Listener),
                    spawn(fun() -> attempt(Id, fun() -> serve(Id, Listener, Wishes) end) end),
                    io:format("~s listening ~b~n", [Id, Port]),
                    obey(Own)
            end
    end.

attempt(Id, Work) ->
    try
        Work(),
        io:format("~s closed~n", [Id])
    catch
        _:Reason -> io:format("~s failed ~0p~n", [Id, Reason])
    end.

connect(Id, Port, Wishes, Own) ->
    Question = list_to_binary("said by " ++ Id),
    Options = [{server_name_indication, "localhost"} | groups(Wishes)] ++ Own,
    {ok, Socket} = ssl:connect({127, 0, 0, 1}, Port, Options),
    describe(Id, Socket),
    ok = ssl:send(Socket, Question),
    {ok, Question} = ssl:recv(Socket, byte_size(Question)),
    lists:member("update", Wishes) andalso (ok = ssl:update_keys(Socket, read_write)),
    ok = ssl:send(Socket, Question),
    {ok, Answer} = ssl:recv(Socket, byte_size(Question)),
    io:format("~s received ~s~n", [Id, Answer]),
    ok = ssl:close(Socket).

%% The first to close, after the line that says its name: one that is told of the end of the other half leaves at times
%% without a close_notify of its own.
serve(Id, Listener, Wishes) ->
    {ok, Raw} = ssl:transport_accept(Listener),
    {ok, Socket} = ssl:handshake(Raw),
    describe(Id, Socket),
    echo(Socket, list_to_binary("said to " ++ Id ++ "\n"), lists:member("update", Wishes)),
    ok = ssl:close(Socket).

echo(Socket, Last, Updates) ->
    {ok, Bytes} = ssl:recv(Socket, 0),
    Updates andalso (ok = ssl:update_keys(Socket, read_write)),
    ok = ssl:send(Socket, Bytes),
    binary:longest_common_suffix([Bytes, Last]) =:= byte_size(Last) orelse echo(Socket, Last, false).

groups(Wishes) ->
    case [list_to_atom(Group) || "group=" ++ Group <- Wishes] of
        [] -> [];
        Groups -> [{supported_groups, Groups}]
    end.

describe(Id, Socket) ->
    {ok, Information} = ssl:connection_information(Socket, [selected_cipher_suite, session_resumption]),
    Suite = ssl:suite_to_str(proplists:get_value(selected_cipher_suite, Information)),
    Kind =
        case proplists:get_value(session_resumption, Information) of
            true -> "resumed";
            false -> "full"
        end,
    io:format("~s session ~s unknown ~s ~s~n", [Id, Suite, Kind, uris(ssl:peercert(Socket))]).

%% The bytes of a URI stand as they are in a certificate, after one with their number, in names as short as these.
uris({ok, Der}) ->
    {Start, _} = binary:match(Der, <<"spiffe://">>),
    binary:part(Der, Start, binary:at(Der, Start - 1));
uris({error, _}) ->
    "".

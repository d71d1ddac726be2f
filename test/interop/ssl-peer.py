"""A TLS 1.3 party on Python's ssl, told what to do line by line on standard input (see line-peer.ts).

Usage: ssl-peer.py CERT.pem KEY.pem CA.pem
"""

import socket
import ssl
import sys
import threading

LOCK = threading.Lock()


def main():
    cert, key, anchors = sys.argv[1:]
    say("ready")
    for line in sys.stdin:
        words = line.split()
        threading.Thread(target=attempt, args=(words, cert, key, anchors), daemon=True).start()


def attempt(words, cert, key, anchors):
    role, name = words[:2]
    try:
        if role == "connect":
            connect(name, int(words[2]), context_of(ssl.PROTOCOL_TLS_CLIENT, cert, key, anchors))
        else:
            serve(name, context_of(ssl.PROTOCOL_TLS_SERVER, cert, key, anchors))
        say(f"{name} closed")
    except Exception as failure:
        say(f"{name} failed {failure!r}")


def connect(name, port, context):
    with socket.create_connection(("127.0.0.1", port)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            describe(name, tls)
            question = f"said by {name}"
            tls.sendall(question.encode())
            answer = b""
            while len(answer) < len(question):
                answer += tls.recv(4096)
            say(f"{name} received {answer.decode()}")
            # Sends close_notify and waits for that of the other side.
            tls.unwrap()


def serve(name, context):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(f"{name} listening {listener.getsockname()[1]}")
        raw, _ = listener.accept()
        with raw, context.wrap_socket(raw, server_side=True) as tls:
            describe(name, tls)
            while chunk := tls.recv(4096):
                tls.sendall(chunk)
            tls.unwrap()


def describe(name, tls):
    names = [value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "URI"]
    say(f"{name} session {tls.version()} {tls.cipher()[0]} {' '.join(names)}")


def context_of(protocol, cert, key, anchors):
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(cert, key)
    context.load_verify_locations(anchors)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def say(line):
    with LOCK:
        print(line, flush=True)


main()

"""A TLS 1.3 party on Python's ssl, told what to do line by line on standard input (see line-peer.ts).

Usage: ssl-peer.py CERT.pem KEY.pem CA.pem
"""

import socket
import ssl
import sys
import threading

LOCK = threading.Lock()


class Party:
    """Both roles with one credential; each with one context, as sessions are good within it only."""

    def __init__(self, cert, key, anchors):
        self.files = cert, key, anchors
        self.client = context_of(ssl.PROTOCOL_TLS_CLIENT, cert, key, anchors)
        self.client.verify_mode = ssl.CERT_REQUIRED
        self.server = context_of(ssl.PROTOCOL_TLS_SERVER, cert, key, anchors)
        self.server.verify_mode = ssl.CERT_OPTIONAL
        self.session = None

    def attempt(self, words):
        role, name = words[:2]
        try:
            if role == "connect":
                self.connect(name, int(words[2]), words[3:])
            else:
                self.serve(name, words[2:])
            say(f"{name} closed")
        except Exception as failure:
            say(f"{name} failed {failure!r}")

    def connect(self, name, port, wishes):
        resumes = "resume" in wishes
        with socket.create_connection(("127.0.0.1", port)) as raw:
            session = self.session if resumes else None
            with self.client.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
                describe(name, tls)
                question = f"said by {name}"
                for _ in range(2):
                    tls.sendall(question.encode())
                    answer = b""
                    while len(answer) < len(question):
                        answer += tls.recv(4096)
                say(f"{name} received {answer.decode()}")
                if resumes:
                    self.session = tls.session
                # Sends close_notify and waits for that of the other side.
                tls.unwrap()

    def serve(self, name, wishes):
        server = self.server
        groups = [wish.removeprefix("group=") for wish in wishes if wish.startswith("group=")]
        if groups:
            # OpenSSL's older name for it.
            server = context_of(ssl.PROTOCOL_TLS_SERVER, *self.files)
            server.verify_mode = ssl.CERT_OPTIONAL
            server.set_ecdh_curve(groups[0].replace("secp256r1", "prime256v1"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            say(f"{name} listening {listener.getsockname()[1]}")
            raw, _ = listener.accept()
            with raw, server.wrap_socket(raw, server_side=True) as tls:
                describe(name, tls)
                while chunk := tls.recv(4096):
                    tls.sendall(chunk)
                tls.unwrap()


def main():
    party = Party(*sys.argv[1:])
    say("ready")
    for line in sys.stdin:
        threading.Thread(target=party.attempt, args=(line.split(),), daemon=True).start()


def describe(name, tls):
    certificate = tls.getpeercert() or {}
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    kind = "resumed" if tls.session_reused else "full"
    say(f"{name} session {tls.cipher()[0]} unknown {kind} {' '.join(names)}")


def context_of(protocol, cert, key, anchors):
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(cert, key)
    context.load_verify_locations(anchors)
    return context


def say(line):
    with LOCK:
        print(line, flush=True)


main()

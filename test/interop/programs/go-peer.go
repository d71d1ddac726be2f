// A TLS 1.3 party on Go's crypto/tls, told what to do line by line on standard input (see line-peer.ts).
//
// Usage: go-peer CERT.pem KEY.pem CA.pem

// Built without a module, it would get the defaults of a Go from before ML-KEM.
//
//go:debug tlsmlkem=1
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// One cache for all connections: what one was given, another resumes.
var sessions = tls.NewLRUClientSessionCache(0)

var groups = map[string]tls.CurveID{
	"x25519":         tls.X25519,
	"secp256r1":      tls.CurveP256,
	"secp384r1":      tls.CurveP384,
	"X25519MLKEM768": tls.X25519MLKEM768,
}

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	exitOn(err)
	pem, err := os.ReadFile(os.Args[3])
	exitOn(err)
	anchors := x509.NewCertPool()
	anchors.AppendCertsFromPEM(pem)
	server := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		ClientCAs:    anchors,
		ClientAuth:   tls.VerifyClientCertIfGiven,
	}
	// Tickets of one connection are good for the next, which has a copy of the configuration.
	var ticketKey [32]byte
	rand.Read(ticketKey[:])
	server.SetSessionTicketKeys([][32]byte{ticketKey})
	client := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		RootCAs:      anchors,
		ServerName:   "localhost",
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		go attempt(words, client, server)
	}
}

func attempt(words []string, client, server *tls.Config) {
	id := words[1]
	var err error
	if words[0] == "connect" {
		err = connect(id, words[2], wishes(words[3:]), client.Clone())
	} else {
		err = serve(id, wishes(words[2:]), server.Clone())
	}
	if err != nil {
		fmt.Println(id, "failed", err)
		return
	}
	fmt.Println(id, "closed")
}

func connect(id, port string, wish map[string]string, config *tls.Config) error {
	if _, resume := wish["resume"]; resume {
		config.ClientSessionCache = sessions
	}
	if group := wish["group"]; group != "" {
		config.CurvePreferences = []tls.CurveID{groups[group]}
	}
	connection, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	describe(id, connection.ConnectionState())
	question := "said by " + id
	answer := make([]byte, len(question))
	for range 2 {
		if _, err := io.WriteString(connection, question); err != nil {
			return err
		}
		if _, err := io.ReadFull(connection, answer); err != nil {
			return err
		}
	}
	fmt.Println(id, "received", string(answer))
	if err := connection.CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(connection)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes more than the echo came back", len(rest))
	}
	return err
}

func serve(id string, wish map[string]string, config *tls.Config) error {
	if group := wish["group"]; group != "" {
		config.CurvePreferences = []tls.CurveID{groups[group]}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Println(id, "listening", listener.Addr().(*net.TCPAddr).Port)
	raw, err := listener.Accept()
	if err != nil {
		return err
	}
	connection := tls.Server(raw, config)
	defer connection.Close()
	if err := connection.Handshake(); err != nil {
		return err
	}
	describe(id, connection.ConnectionState())
	_, err = io.Copy(connection, connection)
	return err
}

func describe(id string, state tls.ConnectionState) {
	group := "unknown"
	for name, code := range groups {
		if code == state.CurveID {
			group = name
		}
	}
	kind := "full"
	if state.DidResume {
		kind = "resumed"
	}
	names := ""
	if len(state.PeerCertificates) > 0 {
		for _, uri := range state.PeerCertificates[0].URIs {
			names += " " + uri.String()
		}
	}
	fmt.Printf("%s session %s %s %s%s\n", id, tls.CipherSuiteName(state.CipherSuite), group, kind, names)
}

// Words of a line, as in "resume" or "group=x25519".
func wishes(words []string) map[string]string {
	wish := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		wish[name] = value
	}
	return wish
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A workload that takes its identity from the SPIFFE Workload API by go-spiffe, the standard's own library, and says
// on standard output what it gets. The address is in SPIFFE_ENDPOINT_SOCKET. Commands come on standard input, one a line:
//
//	x509                  the X509-SVID at present, with the trust domains that have a bundle
//	wait SERIAL           the X509-SVID, once its serial number is another than SERIAL
//	serve                 listens with mutual TLS 1.3 and answers with the caller's SPIFFE ID
//	jwt AUDIENCE          a JWT-SVID
//	validate AUDIENCE JWT what the Workload API says of a token, and what the library says by the bundles
//	bundle DOMAIN URL ID  what a bundle endpoint that must prove ID publishes
//	publish               serves our trust domain's bundle by the profile https_spiffe
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const deadline = 90 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	source, err := workloadapi.NewX509Source(ctx)
	check(err)
	defer source.Close()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "x509":
			showX509(source)
		case "wait":
			waitForRenewal(ctx, source, words[1])
		case "serve":
			serve(source)
		case "jwt":
			fetchJWT(ctx, words[1])
		case "validate":
			validateJWT(ctx, words[1], words[2])
		case "bundle":
			fetchBundle(ctx, source, words[1], words[2], words[3])
		case "publish":
			publish(ctx, source)
		}
	}
}

func showX509(source *workloadapi.X509Source) {
	svid, err := source.GetX509SVID()
	check(err)
	bundle, err := source.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
	check(err)
	leaf := svid.Certificates[0]
	fmt.Printf("x509 %s %x chain %d anchors %d\n", svid.ID, leaf.SerialNumber, len(svid.Certificates), len(bundle.X509Authorities()))
}

func waitForRenewal(ctx context.Context, source *workloadapi.X509Source, serial string) {
	for {
		svid, err := source.GetX509SVID()
		check(err)
		if fmt.Sprintf("%x", svid.Certificates[0].SerialNumber) != serial {
			showX509(source)
			return
		}
		check(source.WaitUntilUpdated(ctx))
	}
}

func serve(source *workloadapi.X509Source) {
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeAny())
	config.MinVersion = tls.VersionTLS13
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go greet(connection)
		}
	}()
	fmt.Println("serving", listener.Addr())
}

func greet(connection net.Conn) {
	defer connection.Close()
	secure := connection.(*tls.Conn)
	if err := secure.Handshake(); err != nil {
		fmt.Println("refused", err)
		return
	}
	id, err := spiffeid.FromURI(secure.ConnectionState().PeerCertificates[0].URIs[0])
	check(err)
	fmt.Fprintf(secure, "hello %s\n", id)
}

func fetchJWT(ctx context.Context, audience string) {
	source, err := workloadapi.NewJWTSource(ctx)
	check(err)
	defer source.Close()
	svid, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	check(err)
	fmt.Printf("jwt %s %s lives %d\n", svid.ID, svid.Marshal(), int(time.Until(svid.Expiry).Seconds()+0.5))
}

func validateJWT(ctx context.Context, audience, token string) {
	asked, err := workloadapi.ValidateJWTSVID(ctx, token, audience)
	if err != nil {
		fmt.Println("api refuses", err)
	} else {
		fmt.Println("api accepts", asked.ID)
	}
	var bundles *jwtbundle.Set
	bundles, err = workloadapi.FetchJWTBundles(ctx)
	check(err)
	found, err := jwtsvid.ParseAndValidate(token, bundles, []string{audience})
	if err != nil {
		fmt.Println("library refuses", err)
		return
	}
	fmt.Println("library accepts", found.ID)
}

func fetchBundle(ctx context.Context, source *workloadapi.X509Source, domain, url, endpoint string) {
	bundle, err := federation.FetchBundle(ctx, spiffeid.RequireTrustDomainFromString(domain), url,
		federation.WithSPIFFEAuth(source, spiffeid.RequireFromString(endpoint)))
	if err != nil {
		fmt.Println("bundle refused", err)
		return
	}
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	fmt.Printf("bundle %s sequence %d hint %s anchors %d keys %d\n",
		bundle.TrustDomain(), sequence, hint, len(bundle.X509Authorities()), len(bundle.JWTAuthorities()))
}

func publish(ctx context.Context, source *workloadapi.X509Source) {
	bundles, err := workloadapi.NewBundleSource(ctx)
	check(err)
	svid, err := source.GetX509SVID()
	check(err)
	handler, err := federation.NewHandler(svid.ID.TrustDomain(), bundles)
	check(err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.TLSServerConfig(source))
	check(err)
	go http.Serve(listener, handler)
	fmt.Println("publishing", listener.Addr())
}

func check(err error) {
	if err == nil {
		return
	}
	fmt.Println("failed", err)
	os.Exit(1)
}

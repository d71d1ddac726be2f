// A client of Istio's certificate API, by the code that Istio generates from it: asks once and prints what it gets.
//
//	istio-ca ADDRESS ROOTS-FILE TOKEN
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	pb "istio.io/api/security/v1alpha1"
)

func main() {
	address, rootsFile, token := os.Args[1], os.Args[2], os.Args[3]
	roots := x509.NewCertPool()
	text, err := os.ReadFile(rootsFile)
	check(err)
	roots.AppendCertsFromPEM(text)
	config := &tls.Config{RootCAs: roots, ServerName: "istiod.istio-system.svc", MinVersion: tls.VersionTLS12}
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", "Bearer "+token, "clusterid", "Kubernetes"))
	answer, err := pb.NewIstioCertificateServiceClient(connection).CreateCertificate(ctx, &pb.IstioCertificateRequest{
		Csr:              string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
		ValidityDuration: 600,
	})
	check(err)
	show(answer.CertChain, key)
}

// As Istio's agent reads it: the first is the leaf, the last the roots, what is between leads from one to the other.
func show(chain []string, key *ecdsa.PrivateKey) {
	leaf := parse(chain[0])
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(chain[len(chain)-1]))
	for _, text := range chain[1 : len(chain)-1] {
		between.AddCert(parse(text))
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	check(err)
	fmt.Println("issued", leaf.URIs[0], key.PublicKey.Equal(leaf.PublicKey), len(chain))
}

func parse(text string) *x509.Certificate {
	block, _ := pem.Decode([]byte(text))
	certificate, err := x509.ParseCertificate(block.Bytes)
	check(err)
	return certificate
}

func check(err error) {
	if err == nil {
		return
	}
	fmt.Println("failed", err)
	os.Exit(1)
}

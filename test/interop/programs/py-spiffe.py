"""A workload that takes its identity from the SPIFFE Workload API by py-spiffe. The address is in SPIFFE_ENDPOINT_SOCKET."""

import sys

from spiffe import TrustDomain, WorkloadApiClient, X509Source
from spiffe.errors import PySpiffeError

DOMAIN, AUDIENCE, OTHER = TrustDomain(sys.argv[1]), "catalog", "bank"

with WorkloadApiClient() as client:
    svid = client.fetch_x509_svid()
    anchors = client.fetch_x509_bundles().get_bundle_for_trust_domain(DOMAIN).x509_authorities
    print("x509", svid.spiffe_id, "chain", len(svid.cert_chain), "anchors", len(anchors))
    token = client.fetch_jwt_svid(audience={AUDIENCE})
    keys = client.fetch_jwt_bundles().get_bundle_for_trust_domain(DOMAIN).jwt_authorities
    print("jwt", token.spiffe_id, "keys", len(keys))
    print("accepted", client.validate_jwt_svid(token.token, AUDIENCE).spiffe_id)
    try:
        client.validate_jwt_svid(token.token, OTHER)
    except PySpiffeError as error:
        print("refused", error)
with X509Source() as source:
    print("source", source.get_x509_context().default_svid.spiffe_id)

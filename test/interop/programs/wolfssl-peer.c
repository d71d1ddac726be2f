/**
 * A TLS 1.3 party on wolfSSL, told what to do line by line on standard input (see line-peer.ts).
 *
 * Usage: wolfssl-peer CERT.pem KEY.pem CA.pem
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a line asks for; 0 where it does not. */
struct order {
  char verb[16];
  char id[64];
  int port;
  int resume;
  int update;
  int group;
};

static WOLFSSL_CTX *client_context;
static WOLFSSL_CTX *server_context;
/* What the last connection that could be resumed left. */
static WOLFSSL_SESSION *session;
static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *id, const char *what, WOLFSSL *tls, int result) {
  char text[WOLFSSL_MAX_ERROR_SZ] = "";
  if (tls != NULL) wolfSSL_ERR_error_string((unsigned long)wolfSSL_get_error(tls, result), text);
  printf("%s failed %s: %s\n", id, what, text);
}

static const char *registered_name_of(const char *suite) {
  if (strcmp(suite, "TLS13-AES128-GCM-SHA256") == 0) return "TLS_AES_128_GCM_SHA256";
  if (strcmp(suite, "TLS13-AES256-GCM-SHA384") == 0) return "TLS_AES_256_GCM_SHA384";
  if (strcmp(suite, "TLS13-CHACHA20-POLY1305-SHA256") == 0) return "TLS_CHACHA20_POLY1305_SHA256";
  return suite;
}

static const char *our_name_of(const char *group) {
  if (group == NULL) return "unknown";
  if (strcmp(group, "X25519") == 0) return "x25519";
  if (strcmp(group, "SECP256R1") == 0) return "secp256r1";
  if (strcmp(group, "SECP384R1") == 0) return "secp384r1";
  return group;
}

/* The URI in a certificate; its bytes stand as they are in the DER. */
static void uri_of(WOLFSSL_X509 *certificate, char *uri, size_t room) {
  int length = 0;
  const unsigned char *der = wolfSSL_X509_get_der(certificate, &length);
  static const char start[] = "spiffe://";
  unsigned char *found = memmem(der, (size_t)length, start, sizeof start - 1);
  if (found == NULL) return;
  /* The byte before holds its length, in a SPIFFE ID as short as those of tests. */
  size_t bytes = found[-1];
  if (bytes < room) memcpy(uri, found, bytes), uri[bytes] = '\0';
}

static void describe(const char *id, WOLFSSL *tls) {
  char uri[256] = "";
  WOLFSSL_X509 *certificate = wolfSSL_get_peer_certificate(tls);
  if (certificate != NULL) uri_of(certificate, uri, sizeof uri);
  wolfSSL_X509_free(certificate);
  printf("%s session %s %s %s %s\n", id, registered_name_of(wolfSSL_get_cipher_name(tls)), our_name_of(wolfSSL_get_curve_name(tls)),
         wolfSSL_session_reused(tls) ? "resumed" : "full", uri);
}

/* The end is clean when both have said so. */
static void finish(const char *id, WOLFSSL *tls) {
  int result = wolfSSL_shutdown(tls);
  if (result == WOLFSSL_SHUTDOWN_NOT_DONE) result = wolfSSL_shutdown(tls);
  if (result == WOLFSSL_SUCCESS) printf("%s closed\n", id);
  else fail(id, "shutdown", tls, result);
}

static void talk(const struct order *order, WOLFSSL *tls) {
  char question[96], answer[96];
  int result = wolfSSL_connect(tls);
  if (result != WOLFSSL_SUCCESS) return fail(order->id, "connect", tls, result);
  describe(order->id, tls);
  int length = snprintf(question, sizeof question, "said by %s", order->id);
  for (int round = 0; round < 2; round++) {
    if (round == 1 && order->update && (result = wolfSSL_update_keys(tls)) != WOLFSSL_SUCCESS)
      return fail(order->id, "update", tls, result);
    result = wolfSSL_write(tls, question, length);
    if (result != length) return fail(order->id, "write", tls, result);
    for (int got = 0; got < length; got += result) {
      result = wolfSSL_read(tls, answer + got, length - got);
      if (result <= 0) return fail(order->id, "read", tls, result);
    }
  }
  printf("%s received %.*s\n", order->id, length, answer);
  if (order->resume) {
    pthread_mutex_lock(&session_lock);
    wolfSSL_SESSION_free(session);
    session = wolfSSL_get1_session(tls);
    pthread_mutex_unlock(&session_lock);
  }
  finish(order->id, tls);
}

static void echo(const struct order *order, WOLFSSL *tls) {
  char bytes[4096];
  int result = wolfSSL_accept(tls);
  if (result != WOLFSSL_SUCCESS) return fail(order->id, "accept", tls, result);
  describe(order->id, tls);
  for (int updates = order->update; (result = wolfSSL_read(tls, bytes, sizeof bytes)) > 0; updates = 0) {
    if (updates && wolfSSL_update_keys(tls) != WOLFSSL_SUCCESS) return fail(order->id, "update", tls, -1);
    int written = wolfSSL_write(tls, bytes, result);
    if (written != result) return fail(order->id, "write", tls, written);
  }
  if (wolfSSL_get_error(tls, result) != WOLFSSL_ERROR_ZERO_RETURN) return fail(order->id, "read", tls, result);
  finish(order->id, tls);
}

static void connect_once(const struct order *order, struct sockaddr_in *address) {
  int socket_ = socket(AF_INET, SOCK_STREAM, 0);
  address->sin_port = htons((unsigned short)order->port);
  if (connect(socket_, (struct sockaddr *)address, sizeof *address) != 0) return fail(order->id, "TCP", NULL, 0);
  WOLFSSL *tls = wolfSSL_new(client_context);
  wolfSSL_UseSNI(tls, WOLFSSL_SNI_HOST_NAME, "localhost", sizeof "localhost" - 1);
  wolfSSL_check_domain_name(tls, "localhost");
  /* By itself it would send a share of secp256r1 and prefer others. */
  wolfSSL_UseKeyShare(tls, WOLFSSL_ECC_X25519);
  if (order->resume) {
    pthread_mutex_lock(&session_lock);
    if (session != NULL) wolfSSL_set_session(tls, session);
    pthread_mutex_unlock(&session_lock);
  }
  wolfSSL_set_fd(tls, socket_);
  talk(order, tls);
  wolfSSL_free(tls);
  close(socket_);
}

static void serve_once(const struct order *order, struct sockaddr_in *address) {
  socklen_t size = sizeof *address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)address, size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, (struct sockaddr *)address, &size) != 0)
    return fail(order->id, "listen", NULL, 0);
  printf("%s listening %d\n", order->id, ntohs(address->sin_port));
  int socket_ = accept(listener, NULL, NULL);
  WOLFSSL *tls = wolfSSL_new(server_context);
  if (order->group != 0) wolfSSL_set_groups(tls, (int *)&order->group, 1);
  wolfSSL_set_fd(tls, socket_);
  echo(order, tls);
  wolfSSL_free(tls);
  close(socket_);
  close(listener);
}

static void *attempt(void *given) {
  struct order *order = given;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (strcmp(order->verb, "connect") == 0) connect_once(order, &address);
  else serve_once(order, &address);
  free(order);
  return NULL;
}

static int group_of(const char *name) {
  if (strcmp(name, "x25519") == 0) return WOLFSSL_ECC_X25519;
  if (strcmp(name, "secp256r1") == 0) return WOLFSSL_ECC_SECP256R1;
  if (strcmp(name, "secp384r1") == 0) return WOLFSSL_ECC_SECP384R1;
  return 0;
}

static struct order *read_order(char *line) {
  struct order *order = calloc(1, sizeof *order);
  char *rest = NULL;
  snprintf(order->verb, sizeof order->verb, "%s", strtok_r(line, " \n", &rest));
  snprintf(order->id, sizeof order->id, "%s", strtok_r(NULL, " \n", &rest));
  for (char *word; (word = strtok_r(NULL, " \n", &rest)) != NULL;) {
    if (strcmp(word, "resume") == 0) order->resume = 1;
    else if (strcmp(word, "update") == 0) order->update = 1;
    else if (strncmp(word, "group=", 6) == 0) order->group = group_of(word + 6);
    else order->port = atoi(word);
  }
  return order;
}

static WOLFSSL_CTX *context_of(WOLFSSL_METHOD *method, char **files) {
  WOLFSSL_CTX *context = wolfSSL_CTX_new(method);
  if (wolfSSL_CTX_use_certificate_chain_file(context, files[0]) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_use_PrivateKey_file(context, files[1], WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
      wolfSSL_CTX_load_verify_locations(context, files[2], NULL) != WOLFSSL_SUCCESS) {
    fprintf(stderr, "A file cannot be used\n");
    exit(1);
  }
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, NULL);
  wolfSSL_CTX_UseSessionTicket(context);
  return context;
}

int main(int count, char **words) {
  if (count != 4) {
    printf("wolfSSL %s\n", wolfSSL_lib_version());
    return 0;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  wolfSSL_Init();
  client_context = context_of(wolfTLSv1_3_client_method(), words + 1);
  server_context = context_of(wolfTLSv1_3_server_method(), words + 1);
  puts("ready");
  char line[512];
  while (fgets(line, sizeof line, stdin) != NULL) {
    pthread_t thread;
    pthread_create(&thread, NULL, attempt, read_order(line));
    pthread_detach(thread);
  }
  return 0;
}

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.Scanner;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * A TLS 1.3 party on JSSE, told what to do line by line on standard input (see line-peer.ts).
 *
 * <p>Usage: java JssePeer.java KEYSTORE.p12 PASSWORD CA.pem
 */
public final class JssePeer {
  private static final int URI_NAME = 6;

  /** After so many bytes in a direction JSSE renews its keys; it cannot be told to do so now. */
  private static final int KEY_LIMIT_BYTES = 4096;

  private final Managers managers;
  private final SSLContext context;

  private JssePeer(Managers managers) throws Exception {
    this.managers = managers;
    this.context = contextOf(managers);
  }

  public static void main(String[] args) throws Exception {
    String limit = " KeyUpdate " + KEY_LIMIT_BYTES;
    Security.setProperty("jdk.tls.keyLimits", "AES/GCM/NoPadding" + limit + ", ChaCha20-Poly1305" + limit);
    JssePeer peer = new JssePeer(managersOf(args[0], args[1].toCharArray(), args[2]));
    System.out.println("ready");
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      String[] words = lines.nextLine().split(" ");
      Thread thread = new Thread(() -> peer.attempt(words));
      thread.setDaemon(true);
      thread.start();
    }
  }

  private void attempt(String[] words) {
    String id = words[1];
    List<String> wishes = Arrays.asList(words);
    try {
      if (words[0].equals("connect")) connect(id, Integer.parseInt(words[2]), wishes);
      else serve(id);
    } catch (Exception failure) {
      say(id, "failed " + failure);
    }
  }

  private void connect(String id, int port, List<String> wishes) throws Exception {
    long startedAt = System.currentTimeMillis();
    // A context resumes what it can: sessions are found again by host and port.
    SSLContext client = wishes.contains("resume") ? context : contextOf(managers);
    try (SSLSocket socket = (SSLSocket) client.getSocketFactory().createSocket("localhost", port)) {
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(new String[] {"TLSv1.3"});
      // Verifies that the certificate is for localhost, and asks for it by SNI.
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      parameters.setServerNames(List.of(new javax.net.ssl.SNIHostName("localhost")));
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      describe(id, socket.getSession(), startedAt);
      byte[] question = ("said by " + id).getBytes(StandardCharsets.UTF_8);
      exchange(socket, question);
      if (wishes.contains("update")) exchange(socket, new byte[2 * KEY_LIMIT_BYTES]);
      say(id, "received " + new String(exchange(socket, question), StandardCharsets.UTF_8));
      socket.shutdownOutput();
      if (socket.getInputStream().read() != -1) throw new IOException("More than the echo came back");
    }
    say(id, "closed");
  }

  private static byte[] exchange(SSLSocket socket, byte[] question) throws IOException {
    socket.getOutputStream().write(question);
    return socket.getInputStream().readNBytes(question.length);
  }

  private void serve(String id) throws Exception {
    long startedAt = System.currentTimeMillis();
    InetAddress loopback = InetAddress.getByName("127.0.0.1");
    try (SSLServerSocket listener =
        (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 1, loopback)) {
      listener.setEnabledProtocols(new String[] {"TLSv1.3"});
      listener.setWantClientAuth(true);
      say(id, "listening " + listener.getLocalPort());
      try (SSLSocket socket = (SSLSocket) listener.accept()) {
        socket.startHandshake();
        describe(id, socket.getSession(), startedAt);
        InputStream input = socket.getInputStream();
        byte[] buffer = new byte[4096];
        for (int count; (count = input.read(buffer)) != -1; ) socket.getOutputStream().write(buffer, 0, count);
      }
    }
    say(id, "closed");
  }

  private static void describe(String id, SSLSession session, long startedAt) throws Exception {
    // What is resumed was created before.
    String kind = session.getCreationTime() < startedAt ? "resumed" : "full";
    say(id, "session " + session.getCipherSuite() + " unknown " + kind + urisOf(session));
  }

  private static String urisOf(SSLSession session) throws Exception {
    StringBuilder uris = new StringBuilder();
    try {
      X509Certificate certificate = (X509Certificate) session.getPeerCertificates()[0];
      for (List<?> name : certificate.getSubjectAlternativeNames()) {
        if (name.get(0).equals(URI_NAME)) uris.append(' ').append(name.get(1));
      }
    } catch (SSLPeerUnverifiedException anonymous) {
      // It showed none.
    }
    return uris.toString();
  }

  /** One write for each line, so that lines of several threads do not mix. */
  private static synchronized void say(String id, String text) {
    System.out.println(id + " " + text);
  }

  private record Managers(KeyManagerFactory keys, TrustManagerFactory trust) {}

  private static Managers managersOf(String keyStorePath, char[] password, String anchorPath)
      throws Exception {
    KeyStore own = KeyStore.getInstance("PKCS12");
    try (InputStream file = new FileInputStream(keyStorePath)) {
      own.load(file, password);
    }
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, password);
    KeyStore anchors = KeyStore.getInstance("PKCS12");
    anchors.load(null, null);
    try (InputStream file = new FileInputStream(anchorPath)) {
      anchors.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(anchors);
    return new Managers(keys, trust);
  }

  private static SSLContext contextOf(Managers managers) throws Exception {
    SSLContext context = SSLContext.getInstance("TLSv1.3");
    context.init(managers.keys().getKeyManagers(), managers.trust().getTrustManagers(), null);
    return context;
  }
}

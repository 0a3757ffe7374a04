//! What lies between a program and DynamoDB: TLS by a certificate of this run's own, and a record of the calls.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// One of the root certificates that are built into every function.
const BUILT_IN_ROOT: &[u8] = include_bytes!("../../shared/src/aws/roots/amazon-root-ca-1.der");

/// A certificate authority of this run, and the certificate that it gave to 127.0.0.1.
pub struct CertificateAuthority {
    /// The authority's certificate, as a file for those who can be told to trust one.
    pub file: PathBuf,
    /// The same, as long as the built-in root.
    der: Vec<u8>,
    server: Arc<ServerConfig>,
}

impl CertificateAuthority {
    /// A new one, whose certificate is put into `directory`.
    pub fn new(directory: &Path) -> Self {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "docyard-bench");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().unwrap();
        // A signature may be a byte longer or shorter, so it can take some attempts.
        let certificate = (0..=BUILT_IN_ROOT.len())
            .rev()
            .flat_map(|padding| {
                // Under an arc that is kept for examples.
                let padding = CustomExtension::from_oid_content(&[2, 999, 1], vec![0; padding]);
                root.custom_extensions = vec![padding];
                std::array::from_fn::<_, 4, _>(|_| root.self_signed(&root_key).unwrap())
            })
            .find(|certificate| certificate.der().len() == BUILT_IN_ROOT.len())
            .unwrap();
        let file = directory.join("authority.pem");
        std::fs::write(&file, certificate.pem()).unwrap();

        let mut leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Self { file, der: certificate.der().to_vec(), server: Arc::new(server) }
    }

    /// Makes a copy of a release binary in which one of its built-in root certificates is this authority's: the program
    /// that is measured is the one that is deployed, but for those bytes.
    pub fn trusting_copy(&self, binary: &Path, copy: &Path) {
        let mut bytes = std::fs::read(binary).unwrap();
        let mut windows = bytes.windows(BUILT_IN_ROOT.len());
        let place = windows.position(|window| window == BUILT_IN_ROOT).expect("a built-in root certificate");
        bytes[place..place + self.der.len()].copy_from_slice(&self.der);
        // The same permissions; and a file that still runs cannot be written to.
        let _ = std::fs::remove_file(copy);
        std::fs::copy(binary, copy).unwrap();
        std::fs::write(copy, bytes).unwrap();
    }
}

/// A call of DynamoDB's API, as it was sent.
#[derive(Clone)]
pub struct Call {
    operation: String,
    body: String,
    /// All of the request, headers included, before it is encrypted.
    pub bytes: usize,
}

impl Call {
    /// What `bare` is told to make the call by.
    pub fn to_json(&self) -> Value {
        json!({"operation": self.operation, "body": self.body})
    }
}

#[derive(Default)]
struct Record {
    calls: Vec<Call>,
    received: usize,
}

/// TLS in front of one embedded DynamoDB, with a record of what passes.
pub struct Network {
    /// The endpoint for the program.
    pub url: String,
    record: Arc<Mutex<Record>>,
}

impl Network {
    /// Listens on a free port of the loopback address, and forwards to the DynamoDB behind `dynamodb_url`.
    pub async fn before(dynamodb_url: &str, authority: &CertificateAuthority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let dynamodb = dynamodb_url.strip_prefix("http://").unwrap().to_owned();
        let acceptor = TlsAcceptor::from(authority.server.clone());
        let record: Arc<Mutex<Record>> = Arc::default();
        let shared = record.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, dynamodb, record) = (acceptor.clone(), dynamodb.clone(), shared.clone());
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    // A program that is ended while it connects ends this too.
                    let Ok(tls) = acceptor.accept(stream).await else { return };
                    let plain = TcpStream::connect(dynamodb).await.unwrap();
                    plain.set_nodelay(true).unwrap();
                    let (from_program, to_program) = tokio::io::split(tls);
                    let (from_dynamodb, to_dynamodb) = plain.into_split();
                    tokio::join!(
                        Self::pass_calls(from_program, to_dynamodb, &record),
                        Self::pass_answers(from_dynamodb, to_program, &record),
                    );
                });
            }
        });
        Self { url, record }
    }

    async fn pass_calls(
        mut from: ReadHalf<TlsStream<TcpStream>>,
        mut to: OwnedWriteHalf,
        record: &Mutex<Record>,
    ) {
        let mut buffer = vec![0; 64 * 1024];
        let mut pending = Vec::new();
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            pending.extend_from_slice(&buffer[..length]);
            while let Some(call) = take_call(&mut pending) {
                record.lock().unwrap().calls.push(call);
            }
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    }

    async fn pass_answers(
        mut from: OwnedReadHalf,
        mut to: WriteHalf<TlsStream<TcpStream>>,
        record: &Mutex<Record>,
    ) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
                return;
            }
            record.lock().unwrap().received += length;
        }
        let _ = to.shutdown().await;
    }

    /// Takes the calls that came since this was last asked, and the bytes of their answers.
    pub fn take_calls(&self) -> (Vec<Call>, usize) {
        let mut record = self.record.lock().unwrap();
        (std::mem::take(&mut record.calls), std::mem::take(&mut record.received))
    }
}

/// Takes the first request of HTTP/1.1 from what was received, if it is all there.
fn take_call(received: &mut Vec<u8>) -> Option<Call> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(received).unwrap() {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return None,
    };
    let header = |name: &str| {
        let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).unwrap();
        std::str::from_utf8(header.value).unwrap()
    };
    let bytes = head + header("content-length").parse::<usize>().unwrap();
    let body = std::str::from_utf8(received.get(head..bytes)?).unwrap().to_owned();
    let operation = header("x-amz-target").rsplit('.').next().unwrap().to_owned();
    received.drain(..bytes);
    Some(Call { operation, body, bytes })
}

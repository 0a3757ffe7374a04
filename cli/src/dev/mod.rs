//! `docyard dev`: the whole API on this machine, with an embedded DynamoDB and an embedded S3.
//!
//! The embedded DynamoDB has its own port, on the loopback address unless another is asked for, and like DynamoDB Local
//! it accepts any credentials. The port is printed on request.
//!
//! Here: its options, and the order in which everything starts and stops. In [`server`]: connections. In [`gateway`]:
//! what API Gateway does. In [`data_dir`]: the files. In [`tls`]: the certificates for mutual TLS. In [`disk`]: whether
//! the disk failed a request. In [`stream`], [`worker`] and [`sealer`]: what is done behind requests. In [`documentation`]: the API's
//! document and its page.

mod data_dir;
mod disk;
mod documentation;
mod gateway;
mod sealer;
mod server;
mod stream;
mod tls;
mod worker;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use docyard_core::aws::dynamodb;
use docyard_core::aws::s3::Bucket;
use docyard_core::context::Context;
use docyard_core::model::account::Account;
use docyard_core::model::api_key::{ApiKey, ApiKeyRecord, Mode};
use docyard_core::model::audit::{Author, DEFAULT_RETENTION_DAYS, Origin};
use docyard_core::model::dock::{Dock, Profile};
use docyard_core::model::submission::SubmissionKey;
use docyard_core::store::{Error, Fault, Objects, SealedCopy, Store, is_of_trail};
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{AccountId, ApiKeyId, DockId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use docyard_functions::sealer::Sealer;
use docyard_functions::worker::is_for_worker;
use docyard_local_s3::{AccessKey, BUCKET, BucketServer};
use dynoxide::Database;
use rustix::io::Errno;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use data_dir::DataDir;
use gateway::Gateway;
use server::Port;
use stream::Stream;
use worker::Worker;

/// The table's name in the embedded database.
const TABLE: &str = "docyard";

/// The account and the dock that exist from the start: the same on every machine, so that a script can name them.
const ACCOUNT_ID: &str = "acc_0000000000000000000000DEV0";
const DOCK_ID: &str = "dock_0000000000000000000000DEV0";

/// How often expired items are deleted. DynamoDB takes some days.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How often the server looks whether its data is still there.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long running requests may take once the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The host that means both loopback addresses, and that a certificate names.
const LOCALHOST: &str = "localhost";

/// How many ports are tried before one is found that is free on both loopback addresses.
const PORT_ATTEMPTS: usize = 100;

/// Where clients reach the server.
struct Urls {
    plain: String,
    mutual_tls: String,
}

/// The options of `docyard dev`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address to serve on; localhost for both 127.0.0.1 and ::1.
    #[arg(long, default_value = LOCALHOST)]
    host: String,
    /// The port to serve on; 0 for any free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The port to serve on with mutual TLS, for clients with a certificate; 0 for any free one.
    #[arg(long, default_value_t = 3443)]
    mutual_tls_port: u16,
    /// The directory of the data, of dev.env with the addresses and the key, and of the certificates.
    #[arg(long, default_value = ".docyard")]
    data_dir: PathBuf,
    /// Keep the data only in memory, and the contents of artifacts in a temporary directory. dev.env and the certificates are
    /// written all the same.
    #[arg(long)]
    ephemeral: bool,
    /// Serve the bare DynamoDB API too, on this port; 0 for any free one.
    #[arg(long)]
    dynamodb_port: Option<u16>,
    /// The address to serve it on, such as that of Docker's bridge for containers. It accepts any credentials.
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST, requires = "dynamodb_port")]
    dynamodb_host: Ipv4Addr,
}

/// Serves until Ctrl-C or TERM. An error says why it cannot start, or that its data was taken away.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    // From here on a signal waits until the server can stop.
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let (address, plain) = listen_on_host(&options.host, options.port, "--port").await?;
    let (tls_address, mutual_tls) =
        listen_on_host(&options.host, options.mutual_tls_port, "--mutual-tls-port").await?;
    let dynamodb_port = options.dynamodb_port.unwrap_or(0);
    let dynamodb_address = SocketAddr::from((options.dynamodb_host, dynamodb_port));
    let dynamodb_listener =
        listen(dynamodb_address, &dynamodb_address.to_string(), "--dynamodb-port").await?;
    let is_local = options.host == LOCALHOST;
    let urls = Urls {
        plain: format!("http://{}", authority(address, is_local)),
        // Of all addresses, the certificate names those of this machine alone.
        mutual_tls: format!(
            "https://{}",
            authority(tls_address, is_local || tls_address.ip().is_unspecified())
        ),
    };
    let dynamodb_url = format!("http://{}", local_address(&dynamodb_listener)?);

    let mut data_dir = DataDir::open(&options.data_dir)?;
    let database = if options.ephemeral {
        let database = new_database().await?;
        data_dir.prepare_stream(&database)?;
        database
    } else {
        if !data_dir.has_database()? {
            data_dir.keep(&new_database().await?)?;
        }
        data_dir.database()?
    };
    let data_dir = Arc::new(data_dir);

    let (stop, stopped) = watch::channel(false);
    let until_stopped = |mut stopped: watch::Receiver<bool>| async move {
        // An error means the sender was dropped; stop in that case too.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let dynamodb_server = tokio::spawn(dynoxide::server::serve_with_shutdown(
        dynamodb_listener,
        database.clone(),
        until_stopped(stopped.clone()),
    ));
    let config = dynamodb::local_config(&dynamodb_url).interceptor(disk::Observer);
    let store = Store::new(Client::from_conf(config.build()), TABLE);
    // The contents of artifacts, in the data directory, or in another one that ends with the server.
    let temporary = options.ephemeral.then(tempfile::tempdir).transpose();
    let temporary = temporary.map_err(|error| format!("cannot make a temporary directory: {error}"))?;
    let objects_path = match &temporary {
        Some(temporary) => temporary.path().join("objects"),
        None => data_dir.objects_path(),
    };
    let (bucket, s3_server) = serve_bucket(&objects_path, None, until_stopped(stopped.clone())).await?;
    // The sealed copy of the audit trail, beside them.
    let sealed_path = match &temporary {
        Some(temporary) => temporary.path().join("sealed"),
        None => data_dir.sealed_path(),
    };
    let lock_days = NonZeroU16::new(DEFAULT_RETENTION_DAYS);
    let (sealed, sealed_server) =
        serve_bucket(&sealed_path, lock_days, until_stopped(stopped.clone())).await?;
    let context = Context::new(store, Mode::Live, Clock::system())
        .with_submission_key(SubmissionKey::development())
        .with_objects(Objects::new(bucket, Clock::system()));
    let (key, dock) = match disk::observed(prepare(&context, &data_dir)).await {
        (Err(_), Some(failure)) => return Err(data_dir.cannot_write(&failure)),
        (prepared, _) => prepared.map_err(message)?,
    };
    let acceptor = tls::acceptor(&data_dir.tls_path(), context.now())?;
    data_dir.write_env(&urls, &key, dock)?;
    let sweeper = tokio::spawn(sweep(database.clone()));
    let stream = |name, is_let_through| {
        let position = (!options.ephemeral).then(|| data_dir.stream_position_path(name));
        Stream::new(database.clone(), position, is_let_through)
    };
    let worker =
        Worker::new(stream("stream-position", is_for_worker), context.for_request(Origin::default()));
    let worker = tokio::spawn(worker.run());
    let sealer = Sealer::new(SealedCopy::new(sealed, Clock::system()));
    let of_trail = stream("sealed-position", |record| is_of_trail(record.keys()));
    let sealer = tokio::spawn(sealer::run(sealer, of_trail));

    let router = documentation::router()?.merge(Gateway::new(context, data_dir.clone()).router());
    let plain = plain.into_iter().map(|listener| Port { listener, tls: None });
    let mutual_tls = mutual_tls.into_iter().map(|listener| Port { listener, tls: Some(acceptor.clone()) });
    let ports = plain.chain(mutual_tls).collect();
    let server = tokio::spawn(server::serve(ports, router, until_stopped(stopped)));
    announce(&urls, options.dynamodb_port.map(|_| dynamodb_url.as_str()), &data_dir, options.ephemeral);

    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        reason = taken_away(&data_dir) => Err(reason),
    };
    let _ = stop.send(true);
    sweeper.abort();
    worker.abort();
    sealer.abort();
    // A client with a half-sent request does not delay the end.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, async {
        tokio::join!(server, s3_server, sealed_server, dynamodb_server)
    })
    .await;
    result
}

/// Serves a bucket in a directory until `stopped` ends, locked for some days or not, and returns how it is reached.
async fn serve_bucket(
    path: &Path,
    lock_days: Option<NonZeroU16>,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<(Bucket, JoinHandle<io::Result<()>>), String> {
    let listener = listen((Ipv4Addr::LOCALHOST, 0), "127.0.0.1", "port").await?;
    let url = format!("http://{}/{BUCKET}", local_address(&listener)?);
    let key = AccessKey::generate();
    let bucket = Bucket::local(url, &key.id, &key.secret);
    let server = BucketServer::open(path, key, lock_days).await;
    let server = server.map_err(|error| format!("cannot use {}: {error}", path.display()))?;
    Ok((bucket, tokio::spawn(server.serve(listener, stopped))))
}

/// Waits until the data is no longer where it was opened, and gives the reason to stop.
async fn taken_away(data_dir: &DataDir) -> String {
    let mut interval = tokio::time::interval(CHECK_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(reason) = data_dir.check() {
            return reason;
        }
    }
}

/// Listens where an option says; `shown` is the address as it is shown.
async fn listen(address: impl ToSocketAddrs, shown: &str, option: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(shown, option, &error))
}

fn cannot_listen(shown: &str, option: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "{shown} is already in use; stop what listens there, or choose another {option} (0 takes any free one)"
            )
        }
        _ => format!("cannot listen on {shown}: {error}"),
    }
}

/// Listens on a port of a host, and gives the address too. For `localhost` it listens on both loopback addresses, or on
/// that of IPv4 alone where there is no IPv6, and gives that of IPv4.
async fn listen_on_host(
    host: &str,
    port: u16,
    option: &str,
) -> Result<(SocketAddr, Vec<TcpListener>), String> {
    let first_host = if host == LOCALHOST { "127.0.0.1" } else { host };
    let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let listener = listen((first_host, port), &format!("{first_host}:{port}"), option).await?;
        let address = local_address(&listener)?;
        if host != LOCALHOST {
            return Ok((address, vec![listener]));
        }
        let ipv6_address = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        match TcpListener::bind(ipv6_address).await {
            Ok(ipv6_listener) => return Ok((address, vec![listener, ipv6_listener])),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) => return Ok((address, vec![listener])),
                // Free on 127.0.0.1 alone.
                Some(Errno::ADDRINUSE) if attempts > 0 => {}
                _ => return Err(cannot_listen(&ipv6_address.to_string(), option, &error)),
            },
        }
    }
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener.local_addr().map_err(|error| format!("cannot tell the port: {error}"))
}

/// A database in memory with the empty table in it.
async fn new_database() -> Result<Database, String> {
    let database = Database::memory().map_err(|error| format!("cannot make a database: {error}"))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = listen(address, &address.to_string(), "port").await?;
    let url = format!("http://{}", local_address(&listener)?);
    let server = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    let made = Store::new(dynamodb::local_client(&url), TABLE).create_table().await;
    server.abort();
    made.map_err(message)?;
    Ok(database)
}

fn message(error: Error) -> String {
    format!("cannot prepare the table: {}", error.fault())
}

/// Creates the account, the dock and the key, as far as they are missing. It can be interrupted anywhere and repeated.
async fn prepare(context: &Context, data_dir: &DataDir) -> Result<(ApiKey, DockId), Error> {
    let not_an_id = || Error::Internal(Fault::new("built-in id"));
    let account = AccountId::parse(ACCOUNT_ID).ok_or_else(not_an_id)?;
    let dock = DockId::parse(DOCK_ID).ok_or_else(not_an_id)?;
    let name = |text| Text::parse(text).map_err(|_| not_an_id());
    let store = &context.store;
    let now = context.now();

    let author = Author::operator(account, "docyard dev");
    store.enable_stream().await?;
    let development = Account { id: account, name: name("Development")?, created_at: now };
    store.create_account(&development, &development.created().by(&author, now)).await?;
    if store.dock(dock).await?.is_none() {
        let name = name("Development dock")?;
        let dock = Dock { id: dock, account, name, profile: Profile::default(), created_at: now, version: 0 };
        store.create_dock(&dock, &dock.created().by(&author, now), None).await?;
    }
    let given = data_dir.key().filter(|key| key.mode() == context.mode);
    let key = match given {
        None => ApiKey::generate(context.mode, &mut random::system()),
        Some(given) => match store.api_key(&given.digest()).await? {
            Some(record) if record.account == account && record.is_valid(now) => return Ok((given, dock)),
            Some(_) => ApiKey::generate(context.mode, &mut random::system()),
            // Another database than the key was created for, such as one in memory: the key is created here too.
            None => given,
        },
    };
    let record = ApiKeyRecord {
        id: ApiKeyId::generate(now, &mut random::system()),
        account,
        mode: context.mode,
        name: name("docyard dev")?,
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    store.create_api_key(&record, &key.digest(), &record.created().by(&author, now)).await?;
    Ok((key, dock))
}

/// Deletes expired items now and then, as DynamoDB does.
async fn sweep(database: Database) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(removed)) => tracing::debug!(removed, "swept expired items"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot sweep expired items"),
            Err(_) => return,
        }
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|error| format!("cannot listen for signals: {error}"))
}

/// The host and port of a URL: `localhost`, or else the address.
fn authority(address: SocketAddr, is_local: bool) -> String {
    if is_local { format!("{LOCALHOST}:{}", address.port()) } else { address.to_string() }
}

fn announce(urls: &Urls, dynamodb_url: Option<&str>, data_dir: &DataDir, ephemeral: bool) {
    let place = if ephemeral { "in memory".to_owned() } else { format!("in {}", data_dir.path().display()) };
    let env = data_dir.quoted_env_path();
    let Urls { plain: url, mutual_tls } = urls;
    let dynamodb = dynamodb_url
        .map(|url| format!("DynamoDB's API is at {url}, the table is {TABLE}.\n"))
        .unwrap_or_default();
    let text = format!(
        r#"Docyard Access is at {url}, its data {place}. Ctrl-C stops it.
With mutual TLS it is at {mutual_tls}.
{dynamodb}
Create a recipient, from another terminal:

. {env}
RECIPIENT_ID=$(curl -sS -w '\n' "$DOCYARD_URL/v1/docks/$DOCYARD_DOCK_ID/recipients" \
  -H "Authorization: Bearer $DOCYARD_API_KEY" -H "Content-Type: application/json" \
  -d '{{"name":"First National Bank","email":"bulk@firstnational.example","stakeholderClass":"mortgagee","identifiers":{{"lender_id":"LND-4821","policy_number":"POL-2025-88401"}}}}' \
  | tee /dev/stderr | grep -o 'rcp_[0-9A-Z]*' | head -n 1)

Then generate its secret:

. {env}
curl -sS -w '\n' "$DOCYARD_URL/v1/recipients/$RECIPIENT_ID/secrets" \
  -H "Authorization: Bearer $DOCYARD_API_KEY" -H "Content-Type: application/json" \
  -d '{{"name":"First National Bank — Bulk API Passphrase","expiresInDays":90}}'

Or show a certificate, over mutual TLS:

. {env}
curl -sS -w '\n' "$DOCYARD_MUTUAL_TLS_URL/v1/healthz" --cacert "$DOCYARD_TLS_DIR/ca.pem" \
  --cert "$DOCYARD_TLS_DIR/client.pem" --key "$DOCYARD_TLS_DIR/client.key"

"#
    );
    // Whoever reads may be gone, which is no reason to stop.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

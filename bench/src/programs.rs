//! The programs that are measured: how they are made ready, and how each is started.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::network::{CertificateAuthority, Network};
use crate::workload::RESULTS;
use docyard_test_support::sandbox;

/// The endpoints that the peers have.
pub const PEERS_HAVE: [&str; 3] = ["create-recipient", "generate-secret", RESULTS];

/// A program that speaks the Runtime API.
pub struct Program {
    /// What it is called in the tables.
    pub name: String,
    /// The bytes of what is deployed, before it is packed; `None` where an interpreter runs it.
    pub binary_bytes: Option<usize>,
    /// The bytes of the archive that is deployed.
    pub zip_bytes: usize,
    /// The whole command, by its words.
    words: Vec<OsString>,
    /// What it needs to know besides: how to trust the authority.
    environment: Vec<(&'static str, OsString)>,
}

impl Program {
    /// The command that starts it, its DynamoDB being behind this URL.
    pub fn command(&self, dynamodb_url: &str) -> Command {
        self.command_under(&[], dynamodb_url)
    }

    /// The same, run by another program: `valgrind`.
    pub fn command_under(&self, runner: &[OsString], dynamodb_url: &str) -> Command {
        let mut words = runner.iter().chain(&self.words);
        let mut command = sandbox::command(words.next().unwrap(), dynamodb_url);
        command.args(words).envs(self.environment.iter().map(|(name, value)| (name, value)));
        // The tests ask for all the log there is; Lambda sets no level.
        command.env_remove("AWS_LAMBDA_LOG_LEVEL");
        // No settings of the user's.
        command.envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")]);
        command
    }
}

/// Where everything is put that the benchmark makes.
pub struct Toolchain {
    root: PathBuf,
    directory: PathBuf,
    authority: CertificateAuthority,
}

impl Toolchain {
    /// Builds the release binaries of these functions, and of the floor.
    pub fn new(functions: impl Iterator<Item = &'static str>) -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).canonicalize().unwrap();
        let functions: Vec<&str> = functions.flat_map(|function| ["--bin", function]).collect();
        if !functions.is_empty() {
            build(&root, ["--package", "docyard-functions"].into_iter().chain(functions));
            build(&root, ["--package", "docyard-bench-floor"]);
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let directory = target.join("bench");
        std::fs::create_dir_all(&directory).unwrap();
        let authority = CertificateAuthority::new(&directory);
        Self { root, directory, authority }
    }

    /// The repository.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files may be left.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// TLS in front of the DynamoDB behind `url`.
    pub async fn network(&self, url: &str) -> Network {
        Network::before(url, &self.authority).await
    }

    /// Builds the command-line tool, with the local server in it; its command.
    pub fn docyard(&self) -> Command {
        build(&self.root, ["--package", "docyard-cli"]);
        Command::new(self.directory.join("../release/docyard"))
    }

    /// A release binary.
    pub fn binary(&self, name: &str) -> Program {
        self.program(name, &self.directory.join("../release").join(name), name)
    }

    /// The same function as another build made it, whose release binaries are in this directory.
    pub fn baseline(&self, directory: &Path, name: &str) -> Program {
        self.program(&format!("{name}, baseline"), &directory.join(name), &format!("{name}.baseline"))
    }

    fn program(&self, name: &str, binary: &Path, copy: &str) -> Program {
        let bytes = std::fs::read(binary).unwrap();
        let zip_bytes = zipped(&[("bootstrap".to_owned(), bytes.clone())]);
        let copy = self.directory.join(copy);
        // The floor without the SDK has nothing to trust.
        if name == "hello" {
            std::fs::copy(binary, &copy).unwrap();
        } else {
            self.authority.trusting_copy(binary, &copy);
        }
        Program {
            name: name.to_owned(),
            binary_bytes: Some(bytes.len()),
            zip_bytes,
            words: vec![copy.into()],
            environment: Vec::new(),
        }
    }

    /// The floor that opens so many connections.
    pub fn bare(&self, connections: usize) -> Program {
        let environment = vec![("CONNECTIONS", connections.to_string().into())];
        Program { environment, ..self.binary("bare") }
    }

    /// The peers that can be installed; says of the others why not.
    pub fn peers(&self) -> Vec<Peer> {
        let peers = [("Python", self.install_python()), ("Node.js", self.install_node())];
        let installed = peers.into_iter().filter_map(|(name, peer)| match peer {
            Ok(peer) => Some(peer),
            Err(reason) => {
                eprintln!("{name}: cannot be installed here, so it is left out: {reason}");
                None
            }
        });
        installed.collect()
    }

    /// `python3 -m venv` and the packages of `bench/peers/python`.
    fn install_python(&self) -> Result<Peer, String> {
        let python = self.venv().join("bin/python");
        let sources = self.root.join("bench/peers/python");
        run(Command::new("python3").args(["-m", "venv"]).arg(self.venv()))?;
        let requirements = sources.join("requirements.txt");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements))?;
        Ok(Peer {
            name: format!("Python {}", output(&python, "import sys; print(sys.version.split()[0])")?),
            deployed: |root, endpoint| {
                [endpoint.replace('-', "_").as_str(), "http_api"]
                    .map(|module| root.join(format!("{module}.py")))
                    .to_vec()
            },
            client: vec![python.into(), "-m".into(), "awslambdaric".into()],
            task_root: sources.clone(),
            handler: |endpoint| format!("{}.handler", endpoint.replace('-', "_")),
            environment: vec![
                ("PYTHONPATH", sources.into()),
                ("PYTHONDONTWRITEBYTECODE", "1".into()),
                ("AWS_CA_BUNDLE", self.authority.file.clone().into()),
            ],
        })
    }

    /// `npm ci` in a copy of `bench/peers/node`, which compiles the runtime interface client: it needs CMake, which
    /// PyPI has too.
    fn install_node(&self) -> Result<Peer, String> {
        let directory = self.directory.join("node");
        let tools = self.venv().join("bin");
        let path = std::env::join_paths(
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).chain([tools.clone()]),
        )
        .map_err(|error| error.to_string())?;
        let sources = self.root.join("bench/peers/node");
        std::fs::create_dir_all(directory.join("src")).map_err(|error| error.to_string())?;
        let files = ["package.json", "package-lock.json", "src/http.mjs"];
        let handlers = PEERS_HAVE.map(|endpoint| format!("src/{endpoint}.mjs"));
        for file in files.into_iter().chain(handlers.iter().map(String::as_str)) {
            std::fs::copy(sources.join(file), directory.join(file)).map_err(|error| error.to_string())?;
        }
        let lock = |directory: &Path| std::fs::read(directory.join("package-lock.json")).ok();
        let installed = directory.join("installed");
        if lock(&installed) != lock(&sources) {
            if Command::new("cmake").arg("--version").output().is_err() {
                run(Command::new(tools.join("python")).args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "cmake==4.4.4",
                ]))?;
            }
            let npm = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
            run(Command::new("npm").args(npm).current_dir(&directory).env("PATH", &path))?;
            let _ = std::fs::create_dir(&installed);
            std::fs::copy(sources.join("package-lock.json"), installed.join("package-lock.json"))
                .map_err(|error| error.to_string())?;
        }
        run(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&directory))?;
        let node = directory.join("node_modules/node/bin/node");
        Ok(Peer {
            name: format!("Node.js {}", output(&node, "console.log(process.versions.node)")?),
            deployed: |root, endpoint| vec![root.join(format!("{endpoint}.cjs"))],
            client: vec![node.into(), directory.join("node_modules/aws-lambda-ric/index.mjs").into()],
            task_root: directory.join("dist"),
            handler: |endpoint| format!("{endpoint}.handler"),
            environment: vec![("NODE_EXTRA_CA_CERTS", self.authority.file.clone().into())],
        })
    }

    fn venv(&self) -> PathBuf {
        self.directory.join("venv")
    }
}

/// The same endpoints in another language.
pub struct Peer {
    name: String,
    /// The files that are deployed for an endpoint, below the task root; what Lambda's own runtime has is not.
    deployed: fn(&Path, &str) -> Vec<PathBuf>,
    /// The command of the runtime interface client.
    client: Vec<OsString>,
    /// Where it looks for the handler.
    task_root: PathBuf,
    /// What an endpoint's handler is called.
    handler: fn(&str) -> String,
    environment: Vec<(&'static str, OsString)>,
}

impl Peer {
    /// The program of one endpoint.
    pub fn program(&self, endpoint: &str) -> Program {
        let files = (self.deployed)(&self.task_root, endpoint);
        let files: Vec<(String, Vec<u8>)> =
            files.iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect();
        let handler = OsString::from((self.handler)(endpoint));
        let mut environment = self.environment.clone();
        environment
            .extend([("_HANDLER", handler.clone()), ("LAMBDA_TASK_ROOT", self.task_root.clone().into())]);
        Program {
            name: self.name.clone(),
            binary_bytes: None,
            zip_bytes: zipped(&files),
            words: self.client.iter().cloned().chain([handler]).collect(),
            environment,
        }
    }
}

/// Builds release binaries, which these arguments of cargo name.
fn build<'a>(root: &Path, which: impl IntoIterator<Item = &'a str>) {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--release"]);
    cargo.args(which);
    // `cargo run` tells of the package that it runs, and `ring` would be compiled anew for each.
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(name);
    }
    run(&mut cargo).unwrap();
}

/// Runs a command, whose output is this program's own on standard error; `Err` says how it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command.stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// What an interpreter prints for a line of its language.
fn output(interpreter: &Path, line: &str) -> Result<String, String> {
    let flag = if interpreter.ends_with("node") { "-e" } else { "-c" };
    let output = Command::new(interpreter).args([flag, line]).output().map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// How large an archive of these files is.
fn zipped(files: &[(String, Vec<u8>)]) -> usize {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner().len()
}

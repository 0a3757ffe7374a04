//! `docyard truststore …`: the authorities of mutual TLS, as API Gateway takes them. It reads and writes files alone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::x509::{self, X509};

use crate::files;
use crate::output::{self, Failure};

/// The quotas of a trust store, from AWS's page of quotas as known on 2026-11-27; not tried on AWS.
const MAX_CERTIFICATES: usize = 1_000;
/// See [`MAX_CERTIFICATES`]. Whether AWS's "1 MB" is more than 1,000,000 bytes is not known.
const MAX_BYTES: usize = 1_000_000;

/// How many days before its end a certificate is warned of.
const WARNING_DAYS: u16 = 90;

/// `docyard truststore …`
#[derive(Subcommand)]
pub(crate) enum Truststore {
    /// Write one PEM file of all these authorities, for API Gateway.
    ///
    /// Each certificate is in it once, whatever the order of the files. What API Gateway would refuse is told on the standard
    /// error output, all of it at once, and then nothing is written. A warning keeps nothing from being written.
    Build {
        /// Files in PEM with certificates of authorities. Text around them is ignored.
        #[arg(required = true)]
        authorities: Vec<PathBuf>,
        /// The file to write, with mode 0644, or - for the standard output. One that exists is replaced.
        #[arg(long)]
        output: PathBuf,
    },
}

/// Carries out `docyard truststore …`.
pub(crate) fn run(command: Truststore) -> Result<(), Failure> {
    let Truststore::Build { authorities: paths, output } = command;
    let now = Clock::system().now();
    let mut findings = Findings::default();
    let mut found: Vec<Found> = paths.iter().flat_map(|path| read(path, &mut findings)).collect();
    found.iter().for_each(|found| judge(found, now, &mut findings));
    judge_together(&found, &mut findings);
    found.sort_by(|a, b| a.order().cmp(&b.order()));
    found.dedup_by(|a, b| a.certificate.thumbprint == b.certificate.thumbprint);
    let pem: String = found.iter().map(block).collect();
    judge_size(found.len(), pem.len(), &mut findings);

    // Where it cannot be said, the exit code says that it failed.
    for warning in &findings.warnings {
        let _ = output::print_error(format_args!("docyard: warning: {warning}"));
    }
    for problem in &findings.problems {
        let _ = output::print_error(format_args!("docyard: {problem}"));
    }
    let Some(first) = found.iter().min_by_key(|found| found.certificate.not_after) else {
        return Err(Failure::Reason("nothing is written, since there is no certificate".to_owned()));
    };
    if !findings.problems.is_empty() {
        let reason = "nothing is written; see the lines above";
        return Err(Failure::Reason(reason.to_owned()));
    }
    let summary = format!(
        "{} {}, {} bytes; the first to end is {}, on {}",
        found.len(),
        if found.len() == 1 { "authority" } else { "authorities" },
        pem.len(),
        first.subject(),
        first.certificate.not_after
    );
    if output.as_os_str() == OsStr::new("-") {
        output::print(pem.trim_end())?;
        let _ = output::print_error(summary);
        return Ok(());
    }
    write(&output, &pem)
        .map_err(|error| format!("cannot write {}: {error}", shown(&output.to_string_lossy())))?;
    Ok(output::print(summary)?)
}

/// What is to be told, in the order in which it is found.
#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// A certificate that is in a file twice is told of once.
    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn warning(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// A certificate, and the file that it is in.
struct Found {
    file: String,
    der: Vec<u8>,
    certificate: X509,
}

impl Found {
    /// Its place in the trust store, which depends on nothing but itself.
    fn order(&self) -> (&str, Timestamp, &str) {
        let certificate = &self.certificate;
        (&certificate.subject, certificate.not_after, certificate.thumbprint.as_str())
    }

    fn subject(&self) -> String {
        name(&self.certificate.subject)
    }

    /// A message about it.
    fn says(&self, message: &str) -> String {
        format!("{}: {}: {message}", self.file, self.subject())
    }
}

/// The certificates of a file. What is in it that none can be made of is a problem.
fn read(path: &Path, findings: &mut Findings) -> Vec<Found> {
    let file = shown(&path.to_string_lossy());
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.problem(format!("{file}: cannot be read: {error}"));
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    if x509::has_private_key(&text) {
        findings.problem(format!("{file}: has a private key, which no trust store needs; take it out"));
    }
    let blocks: Vec<_> = x509::certificates(&text).collect();
    let begun = begun(&text);
    if begun > blocks.len() {
        findings.problem(format!(
            "{file}: only {} of its {begun} certificates can be read: each must be from -----BEGIN CERTIFICATE----- to \
             -----END CERTIFICATE-----, at the start of a line each",
            blocks.len()
        ));
    } else if blocks.is_empty() {
        findings.problem(format!("{file}: has no certificate in PEM"));
    }
    let mut found = Vec::new();
    for (number, der) in (1..).zip(blocks) {
        let Some(der) = der else {
            findings.problem(format!(
                "{file}: block {number} is damaged: it is not base64 that ends with -----END CERTIFICATE-----"
            ));
            continue;
        };
        match X509::from_der(&der) {
            Some(certificate) => found.push(Found { file: file.clone(), der, certificate }),
            None => findings.problem(format!("{file}: block {number} is not an X.509 certificate")),
        }
    }
    found
}

/// How many certificates a text begins, also where the reader of PEM would pass over one: with a label such as "TRUSTED
/// CERTIFICATE", after spaces, or before the end of another one.
fn begun(text: &str) -> usize {
    let labels = text.split("-----BEGIN ").skip(1).filter_map(|block| block.split("-----").next());
    labels.filter(|label| label.ends_with("CERTIFICATE")).count()
}

/// What API Gateway would refuse of one certificate.
fn judge(found: &Found, now: Timestamp, findings: &mut Findings) {
    let certificate = &found.certificate;
    if let Some(weakness) = certificate.weakness {
        findings.problem(found.says(weakness.rule()));
    }
    if certificate.not_after < now {
        findings.problem(found.says(&format!("has ended, on {}", certificate.not_after)));
    } else if certificate.not_after < now.plus_days(WARNING_DAYS) {
        let warning = format!("ends within {WARNING_DAYS} days, on {}", certificate.not_after);
        findings.warning(found.says(&warning));
    }
    if certificate.not_before > now {
        findings.problem(found.says(&format!("begins only on {}", certificate.not_before)));
    }
    if !certificate.is_authority {
        let warning =
            "is not an authority's, since its basicConstraints do not say CA:TRUE; is it a client's own?";
        findings.warning(found.says(warning));
    }
}

/// What API Gateway would refuse of several certificates together.
fn judge_together(found: &[Found], findings: &mut Findings) {
    let mut first_of_subject: BTreeMap<&str, &Found> = BTreeMap::new();
    for found in found {
        let first = *first_of_subject.entry(&found.certificate.subject).or_insert(found);
        if first.certificate.issuer != found.certificate.issuer {
            let (here, there) = (name(&found.certificate.issuer), name(&first.certificate.issuer));
            findings.problem(found.says(&format!(
                "is issued by {here}, but by {there} in {}; API Gateway takes one issuer for each subject",
                first.file
            )));
        }
    }
}

/// What API Gateway would refuse of a trust store's size.
fn judge_size(certificates: usize, bytes: usize, findings: &mut Findings) {
    if certificates > MAX_CERTIFICATES {
        findings.problem(format!(
            "there are {certificates} certificates, and API Gateway takes at most {MAX_CERTIFICATES}"
        ));
    }
    if bytes > MAX_BYTES {
        findings.problem(format!(
            "the trust store would have {bytes} bytes, and API Gateway takes at most {MAX_BYTES}"
        ));
    }
}

/// A certificate in PEM, below a line that says whose it is. That line is ASCII, and begins no block.
fn block(found: &Found) -> String {
    let subject = escaped(&found.subject(), |c| c.is_ascii() && !c.is_ascii_control());
    // "\2D" is "-" in RFC 4514.
    let subject = subject.replace("-----", r"\2D----");
    format!("# {subject}; ends {}\n{}", found.certificate.not_after, x509::to_pem(&found.der))
}

/// A subject or issuer as a message shows it.
fn name(name: &str) -> String {
    if name.is_empty() { "(no name)".to_owned() } else { shown(name) }
}

/// A text without line breaks, and without what makes a terminal show another text.
fn shown(text: &str) -> String {
    escaped(text, |c| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

/// A text whose characters are `plain`, or else their UTF-8 as RFC 4514 escapes it.
fn escaped(text: &str, plain: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if plain(c) {
            escaped.push(c);
        } else {
            let bytes =
                c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!(r"\{byte:02X}")).collect::<String>();
            escaped.push_str(&bytes);
        }
    }
    escaped
}

/// Writes the file completely or not at all, readable by everyone: it has no secrets.
fn write(path: &Path, pem: &str) -> io::Result<()> {
    // A link stays one; what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|file| !file.is_file()) {
        return Err(io::Error::other("it is no file"));
    }
    files::write(&path, pem, 0o644)
}

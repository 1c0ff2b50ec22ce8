//! What a request says of its body, in headers or in a trailer: the body must agree with each of it.

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};

const NAMES: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// The checksums that a request names.
#[derive(Default)]
pub(super) struct Promised {
    headers: Vec<(&'static str, String)>,
    trailer: Option<(&'static str, TrailingHeaders)>,
    md5: Option<String>,
    hasher: ChecksumHasher,
}

impl Promised {
    pub(super) fn of<T>(request: &S3Request<T>) -> Self {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut promised = Promised { md5: header("content-md5"), ..Promised::default() };
        for name in NAMES {
            if let Some(value) = header(name) {
                promised.headers.push((name, value));
                promised.begin(name);
            }
        }
        let announced = header("x-amz-trailer");
        if let (Some(announced), Some(trailers)) = (announced, request.trailing_headers.clone())
            && let Some(name) = NAMES.into_iter().find(|name| *name == announced.trim())
        {
            promised.trailer = Some((name, trailers));
            promised.begin(name);
        }
        promised
    }

    /// What to answer of them: those that the request had as headers.
    pub(super) fn crc32(&self) -> Option<String> {
        self.headers.iter().find(|(name, _)| *name == NAMES[0]).map(|(_, value)| value.clone())
    }

    fn begin(&mut self, name: &str) {
        match name {
            "x-amz-checksum-crc32" => self.hasher.crc32 = Some(Crc32::new()),
            "x-amz-checksum-crc32c" => self.hasher.crc32c = Some(Crc32c::new()),
            "x-amz-checksum-crc64nvme" => self.hasher.crc64nvme = Some(Crc64Nvme::new()),
            "x-amz-checksum-sha1" => self.hasher.sha1 = Some(Sha1::new()),
            _ => self.hasher.sha256 = Some(Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        self.hasher.update(data);
    }

    /// Fails if the body was another than that promised.
    pub(super) fn compare(self, md5: &[u8]) -> S3Result<()> {
        let found = self.hasher.finalize();
        for (name, promised) in &self.headers {
            equal(name, promised, of(&found, name))?;
        }
        if let Some((name, trailers)) = &self.trailer {
            let promised = trailers.read(|map| map.get(*name).and_then(|value| value.to_str().ok()).map(str::to_owned));
            let Some(promised) = promised.flatten() else {
                return Err(s3_error!(InvalidRequest, "the trailer {name} is missing"));
            };
            equal(name, &promised, of(&found, name))?;
        }
        if let Some(promised) = &self.md5 {
            equal("content-md5", promised, Some(&base64(md5)))?;
        }
        Ok(())
    }
}

fn of<'a>(found: &'a Checksum, name: &str) -> Option<&'a String> {
    match name {
        "x-amz-checksum-crc32" => found.checksum_crc32.as_ref(),
        "x-amz-checksum-crc32c" => found.checksum_crc32c.as_ref(),
        "x-amz-checksum-crc64nvme" => found.checksum_crc64nvme.as_ref(),
        "x-amz-checksum-sha1" => found.checksum_sha1.as_ref(),
        _ => found.checksum_sha256.as_ref(),
    }
}

fn equal(name: &str, promised: &str, found: Option<&String>) -> S3Result<()> {
    if found.is_some_and(|found| found == promised) {
        return Ok(());
    }
    Err(s3_error!(BadDigest, "{name}: promised {promised}, received {found:?}"))
}

/// As the headers have it.
pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

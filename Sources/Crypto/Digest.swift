// Digests, HMAC and randomness from OpenSSL and the kernel (docs/decisions/0003-openssl.md).

package import Basics
internal import COpenSSL
internal import CShims
internal import Glibc

package enum Digest {
  package static func sha256(_ bytes: [UInt8]) -> [UInt8] { run(EVP_sha256(), 32, bytes) }

  /// For the WebSocket handshake only (RFC 6455 §4.2.2); nothing here trusts SHA-1.
  package static func sha1(_ bytes: [UInt8]) -> [UInt8] { run(EVP_sha1(), 20, bytes) }

  /// For Asterisk's challenge login only; nothing here trusts MD5.
  package static func md5(_ bytes: [UInt8]) -> [UInt8] { run(EVP_md5(), 16, bytes) }

  package static func hmacSHA256(_ bytes: [UInt8], key: Secret<[UInt8]>) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 32)
    let key = key.reveal()
    let done = sidetone_hmac_sha256(key, key.count, bytes, bytes.count, &out)
    precondition(done == 1, "OpenSSL refused a digest it ships")
    return out
  }

  /// For the codes of authenticator apps only (RFC 6238 §1.2).
  package static func hmacSHA1(_ bytes: [UInt8], key: Secret<[UInt8]>) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 20)
    let key = key.reveal()
    HMAC(EVP_sha1(), key, Int32(key.count), bytes, bytes.count, &out, nil)
    return out
  }

  private static func run(_ kind: OpaquePointer?, _ size: Int, _ bytes: [UInt8]) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: size)
    let done = EVP_Digest(bytes, bytes.count, &out, nil, kind, nil)
    precondition(done == 1, "OpenSSL refused a digest it ships")
    return out
  }

  /// Of a file, piece by piece; nil when it cannot be read. Blocks: for a worker's thread.
  package static func sha256(ofFile path: String) -> (size: Int, digest: [UInt8])? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0, let context = EVP_MD_CTX_new() else { return nil }
    defer {
      EVP_MD_CTX_free(context)
      close(file)
    }
    var chunk = [UInt8](repeating: 0, count: 65_536)
    var total = 0
    EVP_DigestInit_ex(context, EVP_sha256(), nil)
    while true {
      let size = read(file, &chunk, chunk.count)
      guard size >= 0 else { return nil }
      if size == 0 { break }
      total += size
      EVP_DigestUpdate(context, chunk, size)
    }
    var out = [UInt8](repeating: 0, count: 32)
    EVP_DigestFinal_ex(context, &out, nil)
    return (total, out)
  }

  /// The first 128 bits of SHA-256, for identifiers and for looking keys up: in place, without memory of its own.
  package static func sha256Halves(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
    var out: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    withUnsafeMutableBytes(of: &out) { sidetone_sha256(bytes.baseAddress, bytes.count, $0.baseAddress) }
    return (UInt64(bigEndian: out.0), UInt64(bigEndian: out.1))
  }

  package static func sha256Halves(_ bytes: [UInt8]) -> (UInt64, UInt64) {
    bytes.withUnsafeBytes { sha256Halves($0) }
  }
}

package enum Random {
  /// Bytes from the kernel's generator; stops the process when there are none to be had.
  package static func bytes(_ count: Int) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: count)
    let failed = shim_random(&out, count)
    precondition(failed == 0, "the kernel gave no random bytes")
    return out
  }
}

extension UUID {
  /// Version 4 (RFC 9562 §5.4).
  package static func random() -> UUID {
    let bits = Random.bytes(16).withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64).self) }
    return UUID(high: bits.0 & ~0xf000 | 0x4000, low: bits.1 & ~(3 << 62) | 1 << 63)
  }
}

/// Compares in a time that depends on the lengths alone.
package func isEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}

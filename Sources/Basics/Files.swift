// The few file operations the agent needs, each bounded and each with the reason it failed.

internal import Glibc

/// A system call that failed: which file, and why.
package struct FileError: Error, CustomStringConvertible {
  package let path: String
  package let code: Int32

  package init(path: String, code: Int32) { (self.path, self.code) = (path, code) }

  package var description: String { "\(path): \(String(cString: strerror(code)))" }
}

package enum Files {
  /// The whole file, refused with `EFBIG` above `limit` bytes.
  package static func read(_ path: String, limit: Int = 64 << 20) throws(FileError) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileError(path: path, code: errno) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let size = Glibc.read(file, &chunk, chunk.count)
      guard size >= 0 else { throw FileError(path: path, code: errno) }
      if size == 0 { return bytes }
      bytes.append(contentsOf: chunk[..<size])
      if bytes.count > limit { throw FileError(path: path, code: EFBIG) }
    }
  }

  /// Creates or replaces a file that only its owner can read.
  package static func writePrivate(_ path: String, _ bytes: [UInt8]) throws(FileError) {
    try write(path, bytes, O_TRUNC)
  }

  /// Behind what is there already; the file is readable by the owner alone.
  package static func append(_ path: String, _ bytes: [UInt8]) throws(FileError) { try write(path, bytes, O_APPEND) }

  private static func write(_ path: String, _ bytes: [UInt8], _ mode: Int32) throws(FileError) {
    let file = open(path, O_WRONLY | O_CREAT | mode | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileError(path: path, code: errno) }
    defer { close(file) }
    guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw FileError(path: path, code: errno) }
  }

  /// Makes the folder and its parents, readable by the owner alone.
  package static func makeFolder(_ path: String) throws(FileError) {
    var made = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      made += "/" + part
      guard mkdir(made, 0o700) == 0 || errno == EEXIST || errno == EROFS else {
        throw FileError(path: made, code: errno)
      }
    }
  }

  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  package static func remove(_ path: String) { unlink(path) }

  /// Writes to a descriptor that may be a pipe; a reader that went away is not an error.
  /// - Returns: false where nobody reads it any more.
  @discardableResult
  package static func print(_ bytes: [UInt8], to descriptor: Int32 = 1) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 { rest.removeFirst(written) } else if errno != EINTR && errno != EAGAIN { return false }
    }
    return true
  }

  @discardableResult
  package static func print(_ text: String, to descriptor: Int32 = 1) -> Bool {
    print(Array((text + "\n").utf8), to: descriptor)
  }
}

package enum Environment {
  package static subscript(name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// Every variable as it is now.
  package static var all: [String: String] {
    var found: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { found[String(pair[0])] = String(pair[1]) }
      entry += 1
    }
    return found
  }

  /// Sets the process's time zone; done once, before any thread starts.
  package static func useTimeZone(_ name: String) {
    setenv("TZ", name, 1)
    tzset()
  }
}

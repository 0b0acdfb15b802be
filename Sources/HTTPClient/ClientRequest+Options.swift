// A request as libcurl's options.

internal import Basics
internal import CShims
internal import Glibc

extension ClientRequest {
  /// The options as libcurl takes them; valid inside `body` only.
  func withOptions<T>(isTunnel: Bool, _ body: (UnsafePointer<shim_transfer_options>) -> T) -> T {
    let texts = [url, method, connectTo.map { "::\($0)" }, caFile, certificateFile, keyFile, proxy].map {
      $0.flatMap { strdup($0) }
    }
    let lines = headers.map { strdup("\($0.name): \($0.value)") }
    defer { for text in texts + lines { free(text) } }
    return (lines.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { lines in
      (self.body ?? []).withUnsafeBytes { bytes in
        var options = shim_transfer_options()
        (options.url, options.method) = (UnsafePointer(texts[0]), UnsafePointer(texts[1]))
        (options.connect_to, options.ca_file) = (UnsafePointer(texts[2]), UnsafePointer(texts[3]))
        (options.cert_file, options.key_file) = (UnsafePointer(texts[4]), UnsafePointer(texts[5]))
        options.proxy = UnsafePointer(texts[6])
        options.shares_connection = url.hasPrefix("https:") && !isTunnel ? 1 : 0
        options.headers = lines.baseAddress
        if self.body != nil { (options.body, options.body_size) = (bytes.baseAddress ?? Self.nothing, bytes.count) }
        options.connect_ms = Int(connectTimeout.nanoseconds / 1_000_000)
        options.total_ms = Int(timeout.nanoseconds / 1_000_000)
        options.connect_only = isTunnel ? 1 : 0
        return body(&options)
      }
    }
  }

  private static var nothing: UnsafeRawPointer { UnsafeRawPointer(bitPattern: 1)! }
}

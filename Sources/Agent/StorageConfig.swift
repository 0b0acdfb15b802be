// The [storage] section: where the state lives.

internal import Basics
package import Config
package import Store

package struct StorageConfig: Sendable {
  /// Empty: SQLite in the data folder.
  package var url = ""
  private var password: Secret<String>?

  package init() {}

  package init(reading reader: inout ConfigReader) {
    url = reader.text("storage", "url", default: "")
    password = reader.secret("storage", "password")
    guard !url.isEmpty else { return }
    if !url.hasPrefix("postgres://"), !url.hasPrefix("postgresql://") {
      reader.fault("storage", "url", "expected postgres://user@host/database, or nothing for SQLite")
    }
    let authority = url.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first ?? ""
    if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") || url.contains("password=") {
      reader.fault("storage", "url", "a password does not stand here; name a file with password_file")
    }
  }

  package func place(file: String) -> StorePlace {
    if url.isEmpty { return .file(file) }
    guard let password else { return .postgres(Secret(url)) }
    let escaped = password.reveal().utf8.map { byte in
      let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "%" + Hex.encode([byte])
    }
    return .postgres(Secret(url + (url.contains("?") ? "&" : "?") + "password=" + escaped.joined()))
  }
}

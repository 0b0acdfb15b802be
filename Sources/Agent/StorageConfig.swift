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
    guard !url.isEmpty, let fault = DatabaseAddress.fault(in: url) else { return }
    reader.fault("storage", "url", fault + "; empty is SQLite")
  }

  package func place(file: String) -> StorePlace {
    url.isEmpty ? .file(file) : .postgres(DatabaseAddress.complete(url, password: password))
  }
}

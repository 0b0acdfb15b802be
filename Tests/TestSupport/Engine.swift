// The two databases that every test of the state runs against.

internal import Basics
package import Store

package enum Engine: String, CaseIterable, Sendable {
  case sqlite, postgres

  /// A place for a new, empty state.
  package func makePlace() throws -> StorePlace {
    switch self {
    case .sqlite: .file(TemporaryDirectory.make() + "/state.db")
    case .postgres: .postgres(Secret(try PostgresServer.shared.get().makeDatabase()))
    }
  }
}

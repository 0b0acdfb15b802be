// The ways to a 3CX's database, in the order in which they are tried.

package import Basics
internal import Glibc
internal import JSON

package struct DatabaseTarget: Sendable {
  /// Which of the ways: for health and for `check`.
  package let name: String
  /// For libpq, with its password; keywords and values, never a URL, since passwords contain what URLs mean.
  package let connection: Secret<String>

  package init(name: String, connection: Secret<String>) { (self.name, self.connection) = (name, connection) }

  init(
    _ name: String, host: String?, port: String?, database: String?, user: String?, password: String?
  ) {
    self.name = name
    let parts = [
      ("host", host), ("port", port), ("dbname", database), ("user", user), ("password", password),
      ("application_name", "sidetone"),
      ("options", "-c default_transaction_read_only=on -c statement_timeout=10000 -c lock_timeout=2000"),
    ]
    connection = Secret(
      parts.compactMap { key, value in value.map { "\(key)=\(Self.quoted($0))" } }.joined(separator: " "))
  }

  private static func quoted(_ text: String) -> String {
    "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
  }

  // MARK: All ways

  /// - Parameters:
  ///   - ini: nil where it cannot be read.
  ///   - configJSON: the older `config.json` beside it.
  package static func all(
    _ config: ThreeCXDatabaseConfig, ini: PhoneSystemINI?, configJSON: [UInt8]?
  ) -> [DatabaseTarget] {
    if let explicit = explicit(config) { return [explicit] }
    var found: [DatabaseTarget] = []
    if let ini { found += ofINI(ini, allowsMaster: config.allowsMaster) }
    if let configJSON, let target = ofJSON(configJSON) { found.append(target) }
    found.append(
      DatabaseTarget(
        "peer socket", host: "/var/run/postgresql", port: "5432", database: "database_single", user: userName(),
        password: nil))
    return found
  }

  private static func explicit(_ config: ThreeCXDatabaseConfig) -> DatabaseTarget? {
    if let url = config.url { return DatabaseTarget(name: "[threecx] database_url", connection: url) }
    guard config.host != nil || config.user != nil || config.password != nil else { return nil }
    return DatabaseTarget(
      "DB_* variables", host: config.host ?? "127.0.0.1", port: config.port ?? "5432",
      database: config.name ?? "database_single", user: config.user ?? "phonesystem",
      password: config.password?.reveal())
  }

  private static func ofINI(_ ini: PhoneSystemINI, allowsMaster: Bool) -> [DatabaseTarget] {
    let host = ini["QMDatabase", "DBHost"] ?? ini["CfgServerProfile", "DBHost"] ?? "127.0.0.1"
    let port = ini["QMDatabase", "DBPort"] ?? ini["CfgServerProfile", "DBPort"] ?? "5432"
    let database = ini["QMDatabase", "DBName"] ?? "database_single"
    var found: [DatabaseTarget] = []
    if let user = ini["DbAdminREADONLY", "User"] {
      found.append(
        DatabaseTarget(
          "INI [DbAdminREADONLY]", host: host, port: port, database: database, user: user,
          password: ini["DbAdminREADONLY", "Password"]))
    }
    if let user = ini["CallReports", "USERNAME"] {
      found.append(
        DatabaseTarget(
          "INI [CallReports]", host: ini["CallReports", "SERVER"] ?? host, port: ini["CallReports", "PORT"] ?? port,
          database: ini["CallReports", "DATABASE"] ?? database, user: user, password: ini["CallReports", "PASSWORD"]))
    }
    if allowsMaster, let user = ini["CfgServerProfile", "MasterDBUser"] {
      found.append(
        DatabaseTarget(
          "INI [CfgServerProfile]", host: host, port: port, database: database, user: user,
          password: ini["CfgServerProfile", "MasterDBPassword"]))
    }
    return found
  }

  private static func ofJSON(_ bytes: [UInt8]) -> DatabaseTarget? {
    guard let json = try? JSONValue(parsing: bytes), let user = json["DbUser"]?.string else { return nil }
    let port = json["DbPort"]?.string ?? json["DbPort"]?.int.map { String($0) }
    return DatabaseTarget(
      "config.json", host: json["DbHost"]?.string ?? "127.0.0.1", port: port ?? "5432",
      database: json["DbName"]?.string ?? "database_single", user: user, password: json["DbPassword"]?.string)
  }

  /// Of the process: what peer authentication sees.
  private static func userName() -> String { getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "root" }
}

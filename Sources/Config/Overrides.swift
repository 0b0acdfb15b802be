// What the environment says: SIDETONE_<SECTION>__<KEY>, and the variable names of earlier products.

internal import Basics

extension INIDocument {
  /// Lays the environment over the file. Names of earlier products count where nothing else set the key.
  package mutating func override(from environment: [String: String]) throws(ConfigFaults) {
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("SIDETONE_") {
      let parts = name.dropFirst(9).split(separator: "__", omittingEmptySubsequences: false).map(String.init)
      guard parts.count >= 2 else { continue }
      let section = parts.dropLast().map(\.asciiLowercased).joined(separator: ".")
      set(section, parts.last!.asciiLowercased, value, origin: name)
    }
    try adopt(environment)
  }

  private mutating func adopt(_ environment: [String: String]) throws(ConfigFaults) {
    if let admin = environment["ADMIN_SECRET"], let jwt = environment["JWT_SECRET"], admin != jwt {
      let reason = "ADMIN_SECRET and JWT_SECRET are one key and differ; set only one of them"
      throw ConfigFaults([ConfigFault(place: "ADMIN_SECRET", reason: reason)])
    }
    if sections["http"]?["listen"] == nil, environment["PORT"] != nil || environment["HOST"] != nil {
      let (host, port) = (environment["HOST"] ?? "127.0.0.1", environment["PORT"] ?? "8082")
      set("http", "listen", host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)", origin: "HOST and PORT")
    }
    let names = [
      ("LOG_LEVEL", "log", "level"), ("ADMIN_SECRET", "identity", "secret"), ("JWT_SECRET", "identity", "secret"),
      ("DB_HOST", "threecx", "database_host"), ("DB_PORT", "threecx", "database_port"),
      ("DB_NAME", "threecx", "database_name"), ("DB_USER", "threecx", "database_user"),
      ("DB_PASSWORD", "threecx", "database_password"),
      ("CLIENT_ID", "threecx", "client_id"), ("CLIENT_SECRET", "threecx", "client_secret"),
    ]
    for (name, section, key) in names where sections[section]?[key] == nil {
      if let value = environment[name] {
        set(section, key, key == "level" ? value.asciiLowercased : value, origin: name)
      }
    }
    if sections["threecx"]?["url"] == nil, let name = environment["FQDN"] {
      set("threecx", "url", name.hasPrefix("http") ? name : "https://\(name)", origin: "FQDN")
    }
    if environment["JSON_LOGS"] == "true", sections["log"]?["format"] == nil {
      set("log", "format", "json", origin: "JSON_LOGS")
    }
  }
}

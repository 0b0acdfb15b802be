// The whole configuration: each room's section, read strictly, with every fault said at once.

package import AsteriskSource
internal import Basics
package import CallModel
package import Config
package import HTTP
internal import HTTPClient
package import Identity
package import Log
package import Loop
package import Relay
package import ThreeCXSource

package struct AgentConfig: Sendable {
  package var dataFolder = "/var/lib/sidetone"
  package var runtimeFolder = ""
  package var host = ""
  package var timeZone = "UTC"
  package var region: PhoneRegion?
  package var listen = Listener.Place.tcp(host: "127.0.0.1", port: 8082)
  package var http = HTTPServerConfig()
  package var relay = RelayConfig()
  package var asterisk = AsteriskSourceConfig()
  package var threecx = ThreeCXConfig()
  package var threecxDatabase = ThreeCXDatabaseConfig()
  package var identity = IdentityConfig()
  package var storage = StorageConfig()
  package var sinks = SinksConfig()
  package var retentionDays = 90
  package var retentionMiB = 2048
  package var logLevel = LogLevel.info
  package var logFormat = LogFormat.text
  /// What each key is, and who set it.
  package var settings: [(name: String, value: String, origin: String)] = []

  package init() {}

  /// The file, with the environment laid over it.
  package static func load(path: String?, environment: [String: String]) throws -> AgentConfig {
    var document = INIDocument()
    if let path {
      do {
        document = try INIDocument(parsing: String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self))
      } catch let error as FileError {
        throw ConfigFaults([ConfigFault(place: path, reason: error.description)])
      }
    }
    try document.override(from: environment)
    return try AgentConfig(document)
  }

  package init(_ document: INIDocument) throws(ConfigFaults) {
    var reader = ConfigReader(document)
    readAgent(&reader)
    readHTTP(&reader)
    relay = RelayConfig(reading: &reader)
    asterisk = AsteriskSourceConfig(reading: &reader)
    threecx = ThreeCXConfig(reading: &reader)
    threecxDatabase = ThreeCXDatabaseConfig(reading: &reader)
    if asterisk.isOn, threecx.isOn {
      reader.fault("threecx", "url", "an agent has one PBX; remove this or [asterisk] username")
    }
    identity = IdentityConfig(reading: &reader)
    storage = StorageConfig(reading: &reader)
    sinks = SinksConfig(reading: &reader)
    retentionDays = reader.number("journal", "retention_days", default: 90, in: 1...36_500)
    retentionMiB = reader.number("journal", "retention_mib", default: 2048, in: 16...1_048_576)
    readLog(&reader)
    try reader.finish()
    settings = reader.settings
  }

  private mutating func readAgent(_ reader: inout ConfigReader) {
    dataFolder = reader.text("agent", "data_dir", default: dataFolder)
    runtimeFolder = reader.text("agent", "runtime_dir", default: Environment["RUNTIME_DIRECTORY"] ?? "")
    // A command finds the service's socket although the service manager tells its folder to the service alone.
    if runtimeFolder.isEmpty, dataFolder == Self.servicesData, Files.exists(Self.servicesRuntime + "/control.sock") {
      runtimeFolder = Self.servicesRuntime
    }
    host = reader.text("agent", "host", default: "")
    timeZone = reader.text("agent", "timezone", default: "UTC")
    if let code = reader.optionalText("agent", "default_region") {
      region = PhoneRegion(code: code)
      if region == nil {
        let known = PhoneRegion.known.map(\.code).joined(separator: ", ")
        reader.fault("agent", "default_region", "expected one of \(known)")
      }
    }
    if timeZone != "UTC", !Files.exists("/usr/share/zoneinfo/" + timeZone) || timeZone.contains("..") {
      reader.fault("agent", "timezone", "no such zone in /usr/share/zoneinfo; expected a name like Europe/Zurich")
    }
  }

  private static let servicesData = "/var/lib/sidetone"
  private static let servicesRuntime = "/run/sidetone"

  private mutating func readHTTP(_ reader: inout ConfigReader) {
    let text = reader.text("http", "listen", default: "127.0.0.1:8082")
    if let place = Listener.Place(text) {
      listen = place
    } else {
      reader.fault("http", "listen", "expected address:port, [address]:port or the path of a socket")
    }
    readProxies(&reader)
    http.basePath = reader.text("http", "base_path", default: "")
    if !http.basePath.isEmpty, !http.basePath.hasPrefix("/") || http.basePath.hasSuffix("/") {
      reader.fault("http", "base_path", "begins with / and does not end with it")
    }
    http.maxConnections = reader.number("http", "max_connections", default: 4096, in: 8...100_000)
    http.limits.bodyBytes = reader.number("http", "body_limit_bytes", default: 1 << 20, in: 1024...(64 << 20))
  }

  private mutating func readProxies(_ reader: inout ConfigReader) {
    let proxies = reader.list("http", "trusted_proxies", default: ["127.0.0.1", "::1"])
    for proxy in proxies where proxy != "local" && NetworkAddress(proxy) == nil {
      reader.fault("http", "trusted_proxies", "expected addresses like 127.0.0.1, or local; \(proxy) is none")
    }
    http.trustedProxies = Set(proxies)
  }

  private mutating func readLog(_ reader: inout ConfigReader) {
    let level = reader.text("log", "level", default: "info")
    if let known = LogLevel(name: level) {
      logLevel = known
    } else {
      reader.fault("log", "level", "expected one of \(LogLevel.allCases.map(\.name).joined(separator: ", "))")
    }
    let format = reader.text("log", "format", default: "text")
    if let known = LogFormat(rawValue: format) {
      logFormat = known
    } else {
      reader.fault("log", "format", "expected text or json")
    }
  }

  /// Where the CLI finds the running agent.
  package var controlSocket: String { (runtimeFolder.isEmpty ? dataFolder : runtimeFolder) + "/control.sock" }
  package var journalPath: String { dataFolder + "/journal.db" }
  package var statePath: String { dataFolder + "/state.db" }
  package var secretPath: String { dataFolder + "/server.secret" }
  package var lockPath: String { dataFolder + "/lock" }
}

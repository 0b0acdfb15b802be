// The keys of [threecx] that are about the PBX's own database.

package import Basics
package import Config

package struct ThreeCXDatabaseConfig: Sendable {
  package var isOn = false
  package var iniPath: String?
  package var url: Secret<String>?
  package var host: String?
  package var port: String?
  package var name: String?
  package var user: String?
  package var password: Secret<String>?
  package var recordingsFolder = PBXDatabase.recordingsFolder
  /// The owner's role may be used, although it could write.
  package var allowsMaster = false

  package init() {}

  package init(reading reader: inout ConfigReader) {
    let wanted = reader.text("threecx", "database", default: "auto")
    iniPath = reader.optionalText("threecx", "ini_path")
    let address = reader.optionalText("threecx", "database_url")
    host = reader.optionalText("threecx", "database_host")
    port = reader.optionalText("threecx", "database_port")
    name = reader.optionalText("threecx", "database_name")
    user = reader.optionalText("threecx", "database_user")
    password = reader.secret("threecx", "database_password")
    if let address {
      if let fault = DatabaseAddress.fault(in: address) { reader.fault("threecx", "database_url", fault) }
      url = DatabaseAddress.complete(address, password: password)
    }
    recordingsFolder = reader.text("threecx", "recordings_dir", default: recordingsFolder)
    allowsMaster = reader.flag("threecx", "database_allow_master", default: false)
    switch wanted.asciiLowercased {
    case "yes", "true", "on": isOn = true
    case "no", "false", "off": isOn = false
    case "auto": isOn = url != nil || host != nil || user != nil || iniPath != nil || Self.isThere
    default: reader.fault("threecx", "database", "expected auto, yes or no")
    }
  }

  /// This host has a 3CX.
  private static var isThere: Bool { PhoneSystemINI.places.contains { Files.exists($0) } }

  /// The INI that is there and can be read, or why there is none.
  package func readINI() -> (ini: PhoneSystemINI?, place: String?, fault: String?) {
    let places = iniPath.map { [$0] } ?? PhoneSystemINI.places
    guard let place = places.first(where: { Files.exists($0) }) else {
      return (nil, nil, "there is no \(places.joined(separator: " and no "))")
    }
    do {
      let ini = PhoneSystemINI(parsing: try Files.read(place, limit: 1 << 20))
      return ini.sections.isEmpty ? (nil, place, "\(place) has no sections: it may be cut off") : (ini, place, nil)
    } catch {
      return (nil, place, "\(place) cannot be read: \(error)")
    }
  }
}

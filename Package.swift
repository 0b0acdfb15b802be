// swift-tools-version: 6.2
import PackageDescription

/// One target a room. The lists below are the picture in docs/ARCHITECTURE.md: every import points down it.

let house: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

func room(_ name: String, on dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: house)
}

let libraries: [Target] = [
  .target(name: "CShims", cSettings: [.define("_GNU_SOURCE")]),
  .systemLibrary(name: "CSQLite", pkgConfig: nil, providers: [.apt(["libsqlite3-dev"])]),
  .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
  .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
]

let platform: [Target] = [
  room("Basics"),
  room("Crypto", on: ["Basics", "COpenSSL", "CShims"]),
  room("JSON", on: ["Basics"]),
  room("Loop", on: ["Basics", "CShims"]),
  room("Log", on: ["Basics", "JSON", "CShims", "CSystemd"]),
  room("Health", on: ["Basics", "JSON"]),
  room("Metrics", on: ["Basics"]),
  room("Config", on: ["Basics"]),
  room("SQLite", on: ["CSQLite"]),
  room("HTTP", on: ["Basics", "Crypto", "JSON", "Loop", "CShims"]),
  room("WebSocket", on: ["Basics", "Crypto", "HTTP", "Loop"]),
]

let meaning: [Target] = [
  room("CallModel", on: ["Basics", "Crypto", "JSON"])
]

let frames: [Target] = [
  room("Normaliser", on: ["CallModel", "Basics", "Crypto"])
]

let leaves: [Target] = [
  room("AsteriskSource", on: ["CallModel", "Basics"])
]

let top: [Target] = [
  .executableTarget(name: "sidetone", dependencies: ["AsteriskSource", "Normaliser", "CallModel", "Basics", "JSON"])
]

let checks: [Target] = [
  .testTarget(name: "NormaliserTests", dependencies: ["CallModel", "Normaliser"], swiftSettings: house)
]

let package = Package(
  name: "sidetone",
  targets: libraries + platform + meaning + frames + leaves + top + checks,
  swiftLanguageModes: [.v6]
)

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

func tests(_ name: String, of dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name + "Tests", dependencies: dependencies + ["TestSupport"], swiftSettings: house)
}

let libraries: [Target] = [
  .target(name: "CShims", cSettings: [.define("_GNU_SOURCE")]),
  .target(name: "CWeb"),
  .systemLibrary(name: "CSQLite", pkgConfig: nil, providers: [.apt(["libsqlite3-dev"])]),
  .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
  .systemLibrary(name: "CCrypt", pkgConfig: nil, providers: [.apt(["libcrypt-dev"])]),
  .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
  .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
]

let platform: [Target] = [
  room("Basics"),
  room("Crypto", on: ["Basics", "COpenSSL", "CCrypt", "CShims"]),
  room("JSON", on: ["Basics"]),
  room("Loop", on: ["Basics", "CShims"]),
  room("Log", on: ["Basics", "JSON", "CShims", "CSystemd"]),
  room("Health", on: ["Basics", "JSON"]),
  room("Metrics", on: ["Basics"]),
  room("Config", on: ["Basics"]),
  room("SQLite", on: ["Basics", "CSQLite"]),
  room("Postgres", on: ["Basics", "CShims"]),
  room("Store", on: ["Basics", "Loop", "SQLite", "Postgres"]),
  room("HTTP", on: ["Basics", "Crypto", "JSON", "Loop", "CShims"]),
  room("HTTPClient", on: ["Basics", "Loop", "CShims", "CZlib"]),
  room("WebSocket", on: ["Basics", "Crypto", "HTTP", "Loop"]),
]

let meaning: [Target] = [
  room("CallModel", on: ["Basics", "Crypto", "JSON"])
]

let frames: [Target] = [
  room("SourceKit", on: ["CallModel", "Basics", "Health", "Log", "Loop", "Metrics"]),
  room("Normaliser", on: ["CallModel", "Basics", "Crypto"]),
  room("Journal", on: ["CallModel", "Basics", "JSON", "Loop", "SQLite"]),
  room("Hub", on: ["CallModel", "Basics", "JSON", "Loop"]),
  room("CloudEvents", on: ["Basics", "JSON"]),
  room(
    "SinkKit", on: ["CallModel", "Basics", "Config", "Crypto", "Health", "JSON", "Log", "Loop", "Metrics", "Store"]),
  room("Identity", on: ["CallModel", "Basics", "Config", "Crypto", "HTTP", "JSON", "Loop", "Store"]),
]

let leaves: [Target] = [
  room(
    "AsteriskSource",
    on: ["SourceKit", "CallModel", "Basics", "Config", "Crypto", "Health", "Log", "Loop", "Metrics"]),
  room(
    "ThreeCXSource",
    on: [
      "SourceKit", "CallModel", "Basics", "Config", "Crypto", "Health", "HTTPClient", "JSON", "Log", "Loop", "Metrics",
      "Postgres", "WebSocket",
    ]),
  room(
    "Relay",
    on: [
      "Hub", "Identity", "CallModel", "Basics", "Config", "Crypto", "HTTP", "JSON", "Loop",
      "WebSocket",
    ]),
  room(
    "WebhookSink",
    on: ["SinkKit", "CloudEvents", "Hub", "CallModel", "Basics", "Config", "Crypto", "HTTPClient", "JSON", "Loop"]),
  room("NATSSink", on: ["SinkKit", "CallModel", "Basics", "Config", "Crypto", "JSON", "Loop", "CShims"]),
  room("KafkaSink", on: ["SinkKit", "CallModel", "Basics", "Config", "JSON", "Loop", "CShims"]),
  room("Upstream", on: ["SinkKit", "Identity", "CallModel", "Basics", "Crypto", "HTTP", "JSON", "Loop"]),
  room("Admin", on: ["Identity", "Basics", "Crypto", "HTTP", "Health", "JSON", "Log", "Loop", "CWeb"]),
  room("Simulator", on: ["Basics", "Crypto", "HTTP", "JSON", "Loop", "WebSocket"]),
]

let top: [Target] = [
  room(
    "Agent",
    on: [
      "AsteriskSource", "ThreeCXSource", "WebhookSink", "NATSSink", "KafkaSink", "Relay", "Admin", "Upstream",
      "SourceKit", "SinkKit",
      "Normaliser", "Journal", "Hub", "Identity", "CallModel", "Crypto", "HTTPClient",
      "Basics",
      "Config", "Health", "HTTP", "JSON", "Log", "Loop", "Metrics", "Store", "CShims", "CSystemd",
    ]),
  .executableTarget(
    name: "sidetone",
    dependencies: [
      "Agent", "AsteriskSource", "ThreeCXSource", "SinkKit", "WebhookSink", "Simulator", "SQLite", "Normaliser",
      "Journal", "Hub",
      "Identity", "CallModel",
      "SourceKit",
      "Basics", "Config", "Crypto", "Health", "HTTP", "HTTPClient", "JSON", "Log", "Loop", "Metrics", "WebSocket",
      "CShims",
    ],
    swiftSettings: house),
]

let checks: [Target] = [
  .executableTarget(
    name: "bench", dependencies: ["AsteriskSource", "CallModel", "Journal", "Normaliser", "Basics"],
    path: "Benchmarks/Bench",
    swiftSettings: house),
  .target(
    name: "TestSupport",
    dependencies: ["AsteriskSource", "CallModel", "JSON", "Basics", "Loop", "Postgres", "Store"],
    path: "Tests/TestSupport",
    swiftSettings: house),
  .target(
    name: "Stagecraft", dependencies: ["TestSupport"], path: "Tests/Stagecraft", swiftSettings: house),
  tests("Basics", of: ["Basics", "JSON", "Crypto", "Metrics"]),
  tests("HTTP", of: ["HTTP", "Loop", "Basics"]),
  tests("HTTPClient", of: ["HTTPClient", "HTTP", "Loop", "Basics"]),
  tests("WebSocket", of: ["WebSocket", "HTTP", "Loop"]),
  tests("Normaliser", of: ["AsteriskSource", "Normaliser", "CallModel", "Basics"]),
  tests(
    "AsteriskSource",
    of: [
      "AsteriskSource", "Simulator", "SourceKit", "CallModel", "Normaliser", "Health", "Metrics", "Loop", "Basics",
      "Config",
    ]),
  tests(
    "ThreeCXSource",
    of: [
      "ThreeCXSource", "AsteriskSource", "Simulator", "Normaliser", "CallModel", "Health", "Postgres", "JSON", "Loop",
      "Basics",
    ]),
  tests("Store", of: ["Store", "Postgres", "SQLite", "Loop", "Basics"]),
  tests(
    "SinkKit",
    of: [
      "SinkKit", "WebhookSink", "CloudEvents", "HTTPClient", "CallModel", "Crypto", "Store", "JSON", "Loop", "Basics",
    ]),
  tests("Identity", of: ["Identity", "Store", "Crypto", "HTTP", "JSON", "Loop", "Basics"]),
  tests("Hub", of: ["Hub", "CallModel", "Loop", "Basics"]),
  tests("Journal", of: ["Journal", "CallModel", "SQLite", "Loop", "Basics"]),
  tests(
    "Agent",
    of: ["Agent", "AsteriskSource", "Config", "Log", "SQLite", "Loop", "Basics", "HTTP", "JSON"]),
  tests("Browser", of: ["Stagecraft", "Loop", "WebSocket", "JSON", "Basics"]),
  tests(
    "EndToEnd",
    of: [
      "Stagecraft", "Loop", "WebSocket", "JSON", "Basics", "AsteriskSource", "CallModel", "Simulator", "WebhookSink",
    ]),
]

let package = Package(
  name: "sidetone",
  targets: libraries + platform + meaning + frames + leaves + top + checks,
  swiftLanguageModes: [.v6]
)

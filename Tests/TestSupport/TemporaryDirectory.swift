// A folder of one's own.

internal import Foundation

package enum TemporaryDirectory {
  /// A fresh folder below the system's temporary one.
  package static func make() -> String {
    let path = NSTemporaryDirectory() + "sidetone-\(ProcessInfo.processInfo.globallyUniqueString)"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }
}

// Whether bytes can be text, told at the first that cannot.

/// UTF-8 as a state machine, so that a message can be checked while it arrives (RFC 3629).
struct UTF8Validator {
  private var needed = 0
  private var lower: UInt8 = 0x80
  private var upper: UInt8 = 0xBF

  var isComplete: Bool { needed == 0 }

  /// False as soon as the bytes so far cannot begin any text.
  mutating func feed(_ bytes: ArraySlice<UInt8>) -> Bool {
    for byte in bytes {
      if needed == 0 {
        if byte < 0x80 { continue }
        guard begin(byte) else { return false }
      } else {
        guard byte >= lower, byte <= upper else { return false }
        (lower, upper) = (0x80, 0xBF)
        needed -= 1
      }
    }
    return true
  }

  private mutating func begin(_ byte: UInt8) -> Bool {
    switch byte {
    case 0xC2...0xDF: needed = 1
    case 0xE0: (needed, lower) = (2, 0xA0)
    case 0xED: (needed, upper) = (2, 0x9F)
    case 0xE1...0xEF: needed = 2
    case 0xF0: (needed, lower) = (3, 0x90)
    case 0xF1...0xF3: needed = 3
    case 0xF4: (needed, upper) = (3, 0x8F)
    default: return false
    }
    return true
  }
}

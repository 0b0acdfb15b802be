// Identifiers are types, so that a leg can never be taken for a call.

package import Basics

package struct CallID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let uuid: UUID
  package init(_ uuid: UUID) { self.uuid = uuid }
  package static func < (left: Self, right: Self) -> Bool { left.uuid < right.uuid }
  package var description: String { uuid.description }
}

package struct EventID: Hashable, Sendable, CustomStringConvertible {
  package let uuid: UUID
  package init(_ uuid: UUID) { self.uuid = uuid }
  package var description: String { uuid.description }
}

package struct TenantID: Hashable, Sendable, CustomStringConvertible {
  package let uuid: UUID
  package init(_ uuid: UUID) { self.uuid = uuid }
  package var description: String { uuid.description }

  /// Exists from the first migration; owns whatever names no other tenant.
  package static let standard = TenantID(UUID(high: 0x0000_0000_0000_8000, low: 0x8000_0000_0000_0001))
  /// The agent itself: owns what no tenant is told.
  package static let agent = TenantID(UUID(high: 0x0000_0000_0000_8000, low: 0x8000_0000_0000_0000))
}

/// Where an entry stands in the journal: grows by one an entry, never reused.
package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let value: Int64
  package init(_ value: Int64) { self.value = value }
  package static let start = Position(0)
  package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
  package var description: String { String(value) }
}

// Which of the ended calls somebody wants to see.

package import Basics

/// A filter over ended calls; nil is no restriction.
package struct HistoryQuery: Sendable {
  package var tenant = TenantID.standard
  package var from: Timestamp?
  /// Not included.
  package var until: Timestamp?
  package var number: String?
  package var queue: String?
  package var direction: String?
  package var disposition: String?
  /// Calls that started before this one, newest first.
  package var before: (started: Timestamp, call: CallID)?
  package var limit = 100

  package init() {}
}

/// Where a row of the history was found.
package enum HistoryOrigin: String, Sendable { case journal, cdr, both }

/// A stretch of the history, newest first.
package struct HistoryPage: Sendable {
  /// Each call as JSON.
  package var rows: [(call: [UInt8], origin: HistoryOrigin)]
  /// Where the next stretch begins; nil at the end.
  package var next: (started: Timestamp, call: CallID)?

  package init(rows: [(call: [UInt8], origin: HistoryOrigin)], next: (started: Timestamp, call: CallID)?) {
    (self.rows, self.next) = (rows, next)
  }
}

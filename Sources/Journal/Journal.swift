// The spine: an event is told only when it is here. Append-only, one thread, group commit: what arrives while a
// transaction is on its way to the disk goes into the next one.
//
//   writable ─(disk full, I/O error)─▶ waiting: the buffer fills, reads go on ─(it writes again)─▶ writable
//                                         └─(buffer full)─▶ losing: counted, then the link resynchronises

package import Basics
package import CallModel
package import Loop
internal import SQLite

package enum JournalError: Error, Equatable {
  /// The disk does not take it now; nothing was kept.
  case cannotWrite
  case failed(String)
}

@LoopActor
package final class Journal {
  /// What waits for the disk, at most. Beyond it observations are counted as lost.
  package nonisolated static let bufferLimit = 8 << 20

  /// Entries that are on disk, in order. Called once per commit.
  package var onCommit: @LoopActor ([JournalEntry]) -> Void = { _ in }
  /// False when the disk stopped taking entries; true when it takes them again.
  package var onWritable: @LoopActor (Bool, _ reason: String?) -> Void = { _, _ in }
  /// The file is damaged; the agent ends.
  package var onCorrupt: @LoopActor (String) -> Void = { _ in }

  /// Which journal this is.
  package let id: UUID
  package private(set) var head: Position
  package internal(set) var oldest: Position
  package private(set) var isWritable = true
  package private(set) var bufferedBytes = 0

  let worker: Worker
  private let helper: Worker?
  private let checkpointer: Checkpointer
  let file: JournalFile
  private var sinceCheckpoint = 0
  private var waiting: [(entries: [JournalEntry], done: ((Result<[JournalEntry], JournalError>) -> Void)?)] = []
  private var isCommitting = false
  private var lost = 0

  /// Entries between two checkpoints: a few seconds of a busy PBX, and far below the log's own bound.
  private nonisolated static let checkpointEvery = 1000

  private init(worker: Worker, helper: Worker?, path: String, file: JournalFile) {
    (self.worker, self.helper, self.file) = (worker, helper, file)
    checkpointer = Checkpointer(path: path)
    (id, head, oldest) = (file.id, file.head, file.oldest)
  }

  /// Opens or creates the journal; bounds and open calls are read, entries are not.
  /// - Parameter helper: does what can wait, beside the appends; without one they do it themselves.
  package static func open(path: String, helper: Worker? = nil) async throws -> Journal {
    let worker = Worker(name: "journal", share: .prompt)
    let file = try await worker.run { () throws(SQLiteError) in
      do throws(SQLiteError) {
        return try JournalFile(path: path)
      } catch .corrupt(let text) {
        throw .corrupt(
          "\(path): \(text); bring a backup back with sidetone restore, or move the file away to begin anew")
      }
    }
    return Journal(worker: worker, helper: helper, path: path, file: file)
  }

  // MARK: Append

  /// Takes events that nobody can be asked to send again. False when the buffer is full: they are counted as lost.
  package func offer(_ events: [CallEvent]) -> Bool {
    let entries = events.map { JournalEntry($0, at: .start) }
    let weight = entries.reduce(0) { $0 + $1.weight }
    guard bufferedBytes + weight <= Self.bufferLimit else {
      lost += events.count
      return false
    }
    enqueue(entries, weight, nil)
    return true
  }

  /// Returns when the events are on disk, each with its position; those known already are left out.
  package func append(_ events: [CallEvent]) async throws(JournalError) -> [JournalEntry] {
    guard isWritable else { throw .cannotWrite }
    let entries = events.map { JournalEntry($0, at: .start) }
    let result: Result<[JournalEntry], JournalError> = await withCheckedContinuation { continuation in
      enqueue(entries, entries.reduce(0) { $0 + $1.weight }) { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  private func enqueue(
    _ entries: [JournalEntry], _ weight: Int, _ done: ((Result<[JournalEntry], JournalError>) -> Void)?
  ) {
    bufferedBytes += weight
    waiting.append((entries, done))
    guard !isCommitting, isWritable else { return }
    isCommitting = true
    LoopActor.loop.atTurnEnd { [self] in commit() }
  }

  private func commit() {
    let batch = waiting.flatMap(\.entries)
    let parts = waiting.count
    worker.post { [file] in
      let result = Result { () throws(SQLiteError) in try file.append(batch) }
      let oldest = file.oldest
      LoopActor.begin { self.committed(result, parts, oldest) }
    }
  }

  private func committed(_ result: Result<[JournalEntry], SQLiteError>, _ parts: Int, _ oldest: Position) {
    isCommitting = false
    switch result {
    case .success(let entries): succeeded(entries, parts, oldest)
    case .failure(.corrupt(let text)): onCorrupt(text)
    case .failure(let error): failed(error)
    }
  }

  private func succeeded(_ entries: [JournalEntry], _ parts: Int, _ oldest: Position) {
    let done = waiting.prefix(parts)
    waiting.removeFirst(parts)
    bufferedBytes -= done.reduce(0) { $0 + $1.entries.reduce(0) { $0 + $1.weight } }
    self.oldest = oldest
    if let last = entries.last { head = last.position }
    checkpointSoon(after: entries.count)
    // The disk works on what came meanwhile while subscribers are told of this.
    commitNext()
    let byID = done.contains { $0.done != nil } ? Dictionary(uniqueKeysWithValues: entries.map { ($0.id, $0) }) : [:]
    if !entries.isEmpty { onCommit(entries) }
    for part in done { part.done?(.success(part.entries.compactMap { byID[$0.id] })) }
    if !isWritable || lost > 0 { recovered() }
  }

  private func commitNext() {
    guard !waiting.isEmpty, !isCommitting else { return }
    isCommitting = true
    commit()
  }

  private func checkpointSoon(after count: Int) {
    sinceCheckpoint += count
    guard let helper, sinceCheckpoint >= Self.checkpointEvery else { return }
    sinceCheckpoint = 0
    // What was appended meanwhile is copied by the appending side itself: little, and then the log begins anew.
    helper.post { [checkpointer, worker, file] in
      checkpointer.run()
      worker.post { file.finishCheckpoint() }
    }
  }

  private func failed(_ error: SQLiteError) {
    // Whoever waits for an answer gets it now and can come again; what cannot come again stays and is retried.
    for part in waiting where part.done != nil {
      bufferedBytes -= part.entries.reduce(0) { $0 + $1.weight }
      part.done?(.failure(.cannotWrite))
    }
    waiting.removeAll { $0.done != nil }
    if isWritable { onWritable(false, error.description) }
    isWritable = false
    LoopActor.loop.after(.seconds(1)) { [self] in
      // Nothing at all is written as well: it shows whether writing works again.
      guard !isCommitting else { return }
      isCommitting = true
      commit()
    }
  }

  private func recovered() {
    isWritable = true
    let lost = lost
    self.lost = 0
    if lost > 0 {
      worker.post { [file] in
        do throws(SQLiteError) {
          try file.record(loss: "disk-full", count: lost, detail: "the buffer of \(Self.bufferLimit) bytes was full")
        } catch { LoopActor.begin { self.lost += lost } }
      }
    }
    onWritable(true, lost > 0 ? "lost \(lost)" : nil)
  }

  /// Returns when everything offered so far is on disk, or at once when the disk does not write.
  package func flush() async {
    while isWritable, isCommitting || !waiting.isEmpty {
      await worker.run { () throws(Never) in }
      await Task.yield()
    }
  }
}

// Recordings of calls, as the PBX's records name them, and their files where this host lets us read them.

internal import Basics
package import CallModel
internal import Crypto
internal import Loop
internal import Postgres

extension PBXDatabase {
  /// Where a 3CX V20 keeps its recordings.
  package nonisolated static let recordingsFolder = "/var/lib/3cxpbx/Instance1/Data/Recordings"

  /// Of these calls (ids of the records), at most 1000, each with the call it is of. Empty where there is no such table.
  package func recordings(ofCalls ids: [String]) async throws(DatabaseFault) -> [(call: String, RecordedRecording)] {
    let rows = try await ask { session, schema throws(PostgresError) -> [[SQLValue]] in
      guard case .output(let table) = schema, session.findings.readable.contains("recordings"), !ids.isEmpty else {
        return []
      }
      return try session.rows(
        """
        SELECT r.id_recording::text, r.recording_url::text, (extract(epoch FROM r.end_time) * 1000000)::int8,
          c.call_history_id::text
        FROM recordings r
        JOIN \(table) c ON c.cdr_id = r.cdr_id
        WHERE c.call_history_id = ANY (string_to_array($1, ',')::uuid[])
        ORDER BY r.id_recording
        LIMIT 1000
        """, [.text(ids.joined(separator: ","))])
    }
    return rows.compactMap { row in
      guard let id = row[0].text, let reference = row[1].text, !reference.isEmpty, let call = row[3].text else {
        return nil
      }
      return (call, RecordedRecording(id: id, reference: reference, endedAt: row[2].time))
    }
  }

  /// The recording with the size and the checksum of its file; as it is where the file cannot be read.
  /// - Parameter folder: nothing outside it is opened.
  package func withFile(_ recording: RecordedRecording, in folder: String) async -> RecordedRecording {
    guard !recording.reference.contains(".."), !recording.reference.hasPrefix("/") else { return recording }
    let path = folder + "/" + recording.reference
    let found = await onThread { Digest.sha256(ofFile: path) }
    var recording = recording
    recording.file = found.map { RecordingFile(bytes: $0.size, sha256: Hex.encode($0.digest)) }
    return recording
  }
}

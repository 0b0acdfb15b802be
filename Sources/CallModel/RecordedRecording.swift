// A recording as a PBX's own records name it.

package import Basics

/// A recording in the PBX's records.
package struct RecordedRecording: Sendable {
  package let id: String
  /// The PBX's own name for the file, relative to its folder of recordings.
  package let reference: String
  package let endedAt: Timestamp?
  /// Nil where the file cannot be read from here.
  package var file: RecordingFile?

  package init(id: String, reference: String, endedAt: Timestamp?) {
    (self.id, self.reference, self.endedAt) = (id, reference, endedAt)
  }
}

//! Archives, unpacked inside the sandbox.

"""Any source -> validated records. Imports only schemas."""

"""Recipe -> files, processes, reports. Imports converters and schemas."""

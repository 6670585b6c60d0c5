"""The runtimes, one a file; `fer_engine.runtime.backend.find` imports them on demand."""

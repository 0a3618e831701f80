;; run:
;; status: 1
;; err: incompatible import type: wasi_snapshot_preview1\.fd_write
(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32) (result i32)))
  (func (export "_start")))

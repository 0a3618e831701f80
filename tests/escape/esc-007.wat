;; ESC-007, ESC-020: index + offset does not wrap, for loads and stores alike, however large the offset.
;; run: --invoke load 8
;; status: 134
;; err: out of bounds memory access
;; run: --invoke load 16
;; status: 134
;; err: out of bounds memory access
;; run: --invoke load 0xffffffff
;; status: 134
;; err: out of bounds memory access
;; run: --invoke store 16
;; status: 134
;; err: out of bounds memory access
;; run: --invoke half 0x80000000
;; status: 134
;; err: out of bounds memory access
;; run: --invoke half -8
;; status: 134
;; err: out of bounds memory access
;; run: --invoke near 0xfffffff8
;; status: 134
;; err: out of bounds memory access
;; run: --invoke near 65520
;; out: 0
(module
  (memory 1)
  (func (export "load") (param i32) (result i32) (i32.load offset=0xfffffff8 (local.get 0)))
  (func (export "store") (param i32) (i64.store offset=0xfffffff8 (local.get 0) (i64.const -1)))
  (func (export "half") (param i32) (result i32) (i32.load offset=0x80000000 (local.get 0)))
  (func (export "near") (param i32) (result i32) (i32.load offset=8 (local.get 0))))

;; ESC-009 (CVE-2022-39392): a memory of no pages has no bytes; every access traps.
;; run: --invoke load 0
;; status: 134
;; err: address 0x0$
;; run: --invoke store 0
;; status: 134
;; err: out of bounds memory access
;; run: --invoke load 0x7fffffff
;; status: 134
;; err: address 0x7fffffff
;; run: --invoke fill
;; status: 134
;; err: out of bounds memory access
(module
  (memory 0 0)
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32) (i64.store (local.get 0) (i64.const -1)))
  (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1))))

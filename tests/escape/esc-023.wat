;; ESC-023: call_indirect with an index at and far beyond the table's end, of a null row, of another type.
;; run: --invoke call 0
;; out: 7
;; run: --invoke call 1
;; status: 134
;; err: uninitialized element
;; run: --invoke call 2
;; status: 134
;; err: indirect call type mismatch
;; run: --invoke call 3
;; status: 134
;; err: undefined element
;; run: --invoke call 0x100000
;; status: 134
;; err: undefined element
;; run: --invoke call 0xffffffff
;; status: 134
;; err: undefined element
;; run: --invoke call 0x80000000
;; status: 134
;; err: undefined element
(module
  (type $f (func (result i32)))
  (table 3 3 funcref)
  (elem (i32.const 0) $seven)
  (elem (i32.const 2) $other)
  (func $seven (result i32) (i32.const 7))
  (func $other (param i32) (result i32) (i32.const 8))
  (func (export "call") (param i32) (result i32) (call_indirect (type $f) (local.get 0))))

;; ESC-004: what the runtime returns (old sizes of memory and tables) is an address and a table index.
;; run: --invoke grow
;; out: 42
;; run: --invoke failed
;; status: 134
;; err: out of bounds memory access
;; run: --invoke table
;; out: 7
(module
  (memory 1 2)
  (data (i32.const 1) "\2a")
  (table $t 1 10 funcref)
  (elem declare func $seven)
  (type $f (func (result i32)))
  (func $seven (result i32) (i32.const 7))
  (func (export "grow") (result i32) (i32.load8_u (memory.grow (i32.const 1))))
  (func (export "failed") (result i32) (i32.load8_u (memory.grow (i32.const 9))))
  (func (export "table") (result i32)
    (call_indirect $t (type $f) (table.grow $t (ref.func $seven) (i32.const 1)))))

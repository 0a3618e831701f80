;; Every kind of trap, reported by module, function and offset; a runaway is killed by its budget.
;; run: --invoke unreachable
;; status: 134
;; err: trap: unreachable in traps\.wasm, function unreachable, offset 0x[0-9a-f]+
;; run: --invoke load 65533
;; status: 134
;; err: out of bounds memory access in traps\.wasm, function peek, offset 0x[0-9a-f]+, address 0x10000
;; run: --invoke load -1
;; status: 134
;; err: address 0xffffffff
;; run: --invoke far 0xfffffff0
;; status: 134
;; err: out of bounds memory access
;; run: --invoke div 1 0
;; status: 134
;; err: integer divide by zero in .* function div
;; run: --invoke div 0x80000000 -1
;; status: 134
;; err: integer overflow
;; run: --invoke trunc nan
;; status: 134
;; err: invalid conversion to integer
;; run: --invoke call 0
;; out: 11
;; run: --invoke call 1
;; status: 134
;; err: indirect call type mismatch
;; run: --invoke call 2
;; status: 134
;; err: uninitialized element
;; run: --invoke call 4
;; status: 134
;; err: undefined element
;; run: --invoke call -1
;; status: 134
;; err: undefined element
;; run: --invoke recurse
;; status: 134
;; err: call stack exhausted in .* function recurse
;; run: --stack 67108864 -- --invoke depth 200000
;; out: 200000
;; run: --invoke depth 200000
;; status: 134
;; err: call stack exhausted
;; run: --budget 0.05 -- --invoke forever
;; status: 134
;; err: killed in .* function forever
;; run: --invoke fill 65535 2
;; status: 134
;; err: out of bounds memory access in .* function fill
(module
  (memory 1)
  (table 4 funcref)
  (elem (i32.const 0) $eleven $other)
  (type $t (func (result i32)))
  (func $eleven (result i32) (i32.const 11))
  (func $other (param i64))
  (func (export "unreachable") unreachable)
  (func $peek (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load") (param i32) (result i32) (call $peek (local.get 0)))
  (func (export "far") (param i32) (result i64) (i64.load offset=0xffffffff (local.get 0)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "trunc") (param f64) (result i64) (i64.trunc_f64_s (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))
  (func $recurse (export "recurse") (result i32) (i32.add (call $recurse) (i32.const 1)))
  (func $depth (export "depth") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $depth (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func (export "forever") (loop (br 0)))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1))))

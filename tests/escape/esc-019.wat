;; ESC-019, ESC-024, ESC-012: tail calls, direct and through the table, from few parameters to many and back, ten million
;; times: the stack does not grow, the instance stays what it is, and the checks of a table call hold.
;; run: --invoke loop 10000000
;; out: 42
;; run: --invoke even 10000001
;; out: 0
;; run: --invoke wide 1000000
;; out: 120
;; run: --invoke through 0
;; out: 42
;; run: --invoke through 1
;; status: 134
;; err: indirect call type mismatch
;; run: --invoke through 2
;; status: 134
;; err: uninitialized element
;; run: --invoke through 0xffffffff
;; status: 134
;; err: undefined element
(module
  (memory 1)
  (data (i32.const 8) "\2a")
  (type $t (func (param i32) (result i32)))
  (table 3 3 funcref)
  (elem (i32.const 0) $peek $wide)
  (func $peek (param i32) (result i32) (i32.load8_u (i32.const 8)))
  (func $loop (export "loop") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return_call $peek (i32.const 0))))
    (return_call $loop (i32.sub (local.get 0) (i32.const 1))))
  (func $even (export "even") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (return_call $odd (i64.extend_i32_u (i32.sub (local.get 0) (i32.const 1))) (f64.const 1)))
  (func $odd (param i64 f64) (result i32)
    (if (i64.eqz (local.get 0)) (then (return (i32.const 0))))
    (return_call $even (i32.sub (i32.wrap_i64 (local.get 0)) (i32.const 1))))
  (func $wide (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return
      (i32.add (i32.add (i32.add (local.get 0) (local.get 1)) (i32.add (local.get 2) (local.get 3)))
      (i32.add (i32.add (i32.add (local.get 4) (local.get 5)) (i32.add (local.get 6) (local.get 7)))
      (i32.add (i32.add (i32.add (local.get 8) (local.get 9)) (i32.add (local.get 10) (local.get 11)))
      (i32.add (i32.add (local.get 12) (local.get 13)) (local.get 14))))))))
    (return_call $wide (local.get 14) (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13)
      (i32.sub (local.get $n) (i32.const 1))))
  (func (export "wide") (param i32) (result i32)
    (return_call $wide (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7)
      (i32.const 8) (i32.const 9) (i32.const 10) (i32.const 11) (i32.const 12) (i32.const 13) (i32.const 14) (i32.const 15)
      (local.get 0)))
  (func (export "through") (param i32) (result i32)
    (return_call_indirect (type $t) (i32.const 0) (local.get 0))))

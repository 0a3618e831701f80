;; ESC-003 (CVE-2026-34987, -34971), ESC-058: a 64-bit value with a dirty upper half becomes an i32 in every way there is,
;; passes through everything that carries an i32, and is an address: the byte at 8 is read, nothing 4 GiB further on.
;; run: --invoke wrap 0xdeadbeef00000008
;; out: 42
;; run: --invoke param 0xdeadbeef00000008
;; out: 42
;; run: --invoke result 0xdeadbeef00000008
;; out: 42
;; run: --invoke global 0xdeadbeef00000008
;; out: 42
;; run: --invoke select 0xdeadbeef00000008
;; out: 42
;; run: --invoke join 0xdeadbeef00000008
;; out: 42
;; run: --invoke loop 0xdeadbeef00000008
;; out: 42
;; run: --invoke memory 0xdeadbeef00000008
;; out: 42
;; run: --invoke indirect 0xdeadbeef00000008
;; out: 42
;; run: --invoke reinterpret 0xdeadbeef00000008
;; out: 42
(module
  (memory 1)
  (data (i32.const 8) "\2a")
  (type $t (func (param i32) (result i32)))
  (table funcref (elem $peek))
  (global $g (mut i32) (i32.const 0))
  (func $peek (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func $cut (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
  (func (export "wrap") (param i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get 0))))
  (func (export "param") (param i64) (result i32) (call $peek (i32.wrap_i64 (local.get 0))))
  (func (export "result") (param i64) (result i32) (i32.load8_u (call $cut (local.get 0))))
  (func (export "global") (param i64) (result i32)
    (global.set $g (i32.wrap_i64 (local.get 0)))
    (i32.load8_u (global.get $g)))
  (func (export "select") (param i64) (result i32)
    (i32.load8_u (select (i32.wrap_i64 (local.get 0)) (call $cut (local.get 0)) (i64.eqz (local.get 0)))))
  (func (export "join") (param i64) (result i32)
    (i32.load8_u (if (result i32) (i64.eqz (local.get 0))
      (then (i32.const 3)) (else (i32.wrap_i64 (local.get 0))))))
  (func (export "loop") (param i64) (result i32) (local i32 i32)
    (local.set 1 (i32.wrap_i64 (local.get 0)))
    (loop
      (local.set 2 (i32.add (local.get 2) (i32.load8_u (local.get 1))))
      (local.set 1 (i32.wrap_i64 (i64.add (local.get 0) (i64.extend_i32_u (local.get 2)))))
      (br_if 0 (i32.lt_u (local.get 2) (i32.const 1))))
    (local.get 2))
  (func (export "memory") (param i64) (result i32)
    (i64.store (i32.const 64) (local.get 0))
    (i32.load8_u (i32.load (i32.const 64))))
  (func (export "indirect") (param i64) (result i32)
    (call_indirect (type $t) (i32.wrap_i64 (local.get 0))
      (i32.wrap_i64 (i64.and (local.get 0) (i64.const 0xffffffff00000000)))))
  (func (export "reinterpret") (param i64) (result i32)
    (i32.load8_u (i32.wrap_i64 (i64.reinterpret_f64 (f64.reinterpret_i64 (local.get 0)))))))

;; Arguments and results of every type, and what is said about wrong ones.
;; run: --invoke add32 1 -2
;; out: -1
;; run: --invoke add32 0xffffffff 1
;; out: 0
;; run: --invoke add64 0x7fffffffffffffff 1
;; out: -9223372036854775808
;; run: --invoke half 3
;; out: 1.5
;; run: --invoke half -inf
;; out: -inf
;; run: --invoke halfd 0x1p-1074
;; out: 0
;; run: --invoke bits nan
;; out: 2143289344
;; run: --invoke bits -nan:0x123
;; out: -8388317
;; run: --invoke many 7
;; out: 7
;; out: 8
;; out: 3.5
;; out: 7
;; out: 9
;; out: null
;; run: --invoke add32 1
;; status: 2
;; err: add32 takes 2 values, not 1
;; run: --invoke add32 1 4294967296
;; status: 2
;; err: "4294967296" is no value of type i32 \(argument 2 of add32\)
;; run: --invoke add32 1 1.5
;; status: 2
;; err: is no value of type i32
;; run: --invoke half 1x
;; status: 2
;; err: is no value of type f32
;; run: --invoke nothing
;; status: 2
;; err: has no function export "nothing"
;; run: 1 2
;; status: 2
;; err: is no WASI command: it does not export _start
(module
  (func (export "add32") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "add64") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
  (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
  (func (export "halfd") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "bits") (param f32) (result i32) (i32.reinterpret_f32 (local.get 0)))
  (func (export "many") (param i32) (result i32 i64 f64 f32 i32 externref)
    (local.get 0) (i64.extend_i32_s (i32.add (local.get 0) (i32.const 1)))
    (f64.div (f64.convert_i32_s (local.get 0)) (f64.const 2)) (f32.convert_i32_s (local.get 0))
    (i32.add (local.get 0) (i32.const 2)) (ref.null extern)))

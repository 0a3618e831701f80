;; ESC-005, ESC-025: a load folded into an operation is as wide as the operation says. The last bytes of the memory are
;; read and no more; one byte further on is a trap.
;; run: --invoke f64 65528
;; out: 1
;; run: --invoke f64 65529
;; status: 134
;; err: address 0x10000
;; run: --invoke f32 65532
;; out: 1.875
;; run: --invoke f32 65533
;; status: 134
;; err: address 0x10000
;; run: --invoke promote 65532
;; out: 1.875
;; run: --invoke copysign 65532
;; out: -1.875
;; run: --invoke sqrt 65528
;; out: 1
;; run: --invoke add 65532
;; out: 1072693249
;; run: --invoke popcnt 65532
;; out: 10
;; run: --invoke wide 65528
;; out: 4607182418800017408
;; run: --invoke short 65534
;; out: 16368
;; run: --invoke byte 65535
;; out: 63
;; run: --invoke byte 65536
;; status: 134
;; err: address 0x10000
(module
  (memory 1)
  (data (i32.const 65528) "\00\00\00\00\00\00\f0\3f")
  (func (export "f64") (param i32) (result f64) (f64.mul (f64.const 1) (f64.load (local.get 0))))
  (func (export "f32") (param i32) (result f32) (f32.add (f32.const 0) (f32.load (local.get 0))))
  (func (export "promote") (param i32) (result f64) (f64.promote_f32 (f32.load (local.get 0))))
  (func (export "copysign") (param i32) (result f32) (f32.copysign (f32.load (local.get 0)) (f32.const -1)))
  (func (export "sqrt") (param i32) (result f64) (f64.sqrt (f64.load (local.get 0))))
  (func (export "add") (param i32) (result i32) (i32.add (i32.const 1) (i32.load (local.get 0))))
  (func (export "popcnt") (param i32) (result i32) (i32.popcnt (i32.load (local.get 0))))
  (func (export "wide") (param i32) (result i64) (i64.or (i64.const 0) (i64.load (local.get 0))))
  (func (export "short") (param i32) (result i32) (i32.load16_u (local.get 0)))
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0))))

;; Carries: additions and subtractions of an unsigned comparison, which become adc and sbb.
;; run: --invoke sum -1 5
;; out: 5
;; run: --invoke sum_left -1 5
;; out: 5
;; run: --invoke both -1 5
;; out: 6
;; run: --invoke sum 5 -1
;; out: 5
;; run: --invoke sum_left 5 -1
;; out: 5
;; run: --invoke both 5 -1
;; out: 6
;; run: --invoke sum 3 4
;; out: 7
;; run: --invoke sum_left 3 4
;; out: 7
;; run: --invoke both 3 4
;; out: 7
;; run: --invoke sum -1 -1
;; out: -1
;; run: --invoke sum_left -1 -1
;; out: -1
;; run: --invoke both -1 -1
;; out: 0
;; run: --invoke sum 0 0
;; out: 0
;; run: --invoke sum_left 0 0
;; out: 0
;; run: --invoke both 0 0
;; out: 0
;; run: --invoke sum -9223372036854775808 -9223372036854775808
;; out: 1
;; run: --invoke sum_left -9223372036854775808 -9223372036854775808
;; out: 1
;; run: --invoke both -9223372036854775808 -9223372036854775808
;; out: 2
;; run: --invoke greater 7 5 4
;; out: 8
;; run: --invoke borrow 7 5 4
;; out: 7
;; run: --invoke reversed 7 5 4
;; out: -7
;; run: --invoke signed 7 5 4
;; out: 7
;; run: --invoke greater 7 4 5
;; out: 7
;; run: --invoke borrow 7 4 5
;; out: 6
;; run: --invoke reversed 7 4 5
;; out: -6
;; run: --invoke signed 7 4 5
;; out: 8
;; run: --invoke greater 7 5 5
;; out: 7
;; run: --invoke borrow 7 5 5
;; out: 7
;; run: --invoke reversed 7 5 5
;; out: -7
;; run: --invoke signed 7 5 5
;; out: 7
;; run: --invoke greater -1 9 3
;; out: 0
;; run: --invoke borrow -1 9 3
;; out: -1
;; run: --invoke reversed -1 9 3
;; out: 1
;; run: --invoke signed -1 9 3
;; out: -1
;; run: --invoke immediate 9 9
;; out: 10
;; run: --invoke immediate 9 10
;; out: 9
;; run: --invoke immediate 9 -1
;; out: 9
;; run: --invoke zero_left 3 0
;; out: 3
;; run: --invoke zero_left 3 5
;; out: 4
;; run: --invoke zero_left -1 -1
;; out: 0
;; run: --invoke self 5
;; out: 5
(module
  (func (export "sum") (param $a i64) (param $b i64) (result i64) (local $t i64)
    (local.set $t (i64.add (local.get $a) (local.get $b)))
    (i64.add (local.get $t) (i64.extend_i32_u (i64.lt_u (local.get $t) (local.get $b)))))
  (func (export "sum_left") (param $a i64) (param $b i64) (result i64) (local $t i64)
    (local.set $t (i64.add (local.get $a) (local.get $b)))
    (i64.add (i64.extend_i32_u (i64.gt_u (local.get $a) (local.get $t))) (local.get $t)))
  (func (export "both") (param $a i64) (param $b i64) (result i64) (local $t i64) ;; the second one cannot use the addition's carry
    (local.set $t (i64.add (local.get $a) (local.get $b)))
    (i64.add (i64.add (local.get $t) (i64.extend_i32_u (i64.lt_u (local.get $t) (local.get $a))))
      (i64.extend_i32_u (i64.lt_u (local.get $t) (local.get $b)))))
  (func (export "greater") (param $x i32) (param $a i32) (param $b i32) (result i32)
    (i32.add (i32.gt_u (local.get $a) (local.get $b)) (local.get $x)))
  (func (export "borrow") (param $x i32) (param $a i64) (param $b i64) (result i32)
    (i32.sub (local.get $x) (i64.lt_u (local.get $a) (local.get $b))))
  (func (export "reversed") (param $x i32) (param $a i32) (param $b i32) (result i32) ;; not a borrow
    (i32.sub (i32.lt_u (local.get $a) (local.get $b)) (local.get $x)))
  (func (export "signed") (param $x i32) (param $a i32) (param $b i32) (result i32) ;; not a carry
    (i32.add (local.get $x) (i32.lt_s (local.get $a) (local.get $b))))
  (func (export "immediate") (param $x i64) (param $a i32) (result i64)
    (i64.add (local.get $x) (i64.extend_i32_u (i32.lt_u (local.get $a) (i32.const 10)))))
  (func (export "zero_left") (param $x i64) (param $a i32) (result i64)
    (i64.add (local.get $x) (i64.extend_i32_u (i32.lt_u (i32.const 0) (local.get $a)))))
  (func (export "self") (param $a i64) (result i64) (local $t i64)
    (local.set $t (i64.add (local.get $a) (local.get $a)))
    (i64.add (local.get $a) (i64.extend_i32_u (i64.lt_u (local.get $t) (local.get $a))))))

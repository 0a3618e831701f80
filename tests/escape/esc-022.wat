;; ESC-022: a stack that overflows, by calls of either kind and with large frames, ends the invocation.
;; run: --invoke direct 100000000
;; status: 134
;; err: call stack exhausted
;; run: --invoke indirect 100000000
;; status: 134
;; err: call stack exhausted
;; run: --invoke wide 100000000
;; status: 134
;; err: call stack exhausted
;; run: --invoke direct 100
;; out: 100
(module
  (type $t (func (param i32) (result i32)))
  (table funcref (elem $i))
  (func $d (export "direct") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $d (i32.sub (local.get 0) (i32.const 1)))))))
  (func $i (export "indirect") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))))
  (func $w (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i32) (result i32)
    (if (result i32) (i32.eqz (local.get 16)) (then (i32.const 0))
      (else (i32.add (i32.const 1)
        (call $w (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7)
          (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13) (local.get 14)
          (local.get 15) (local.get 0) (i32.sub (local.get 16) (i32.const 1)))))))
  (func (export "wide") (param i32) (result i32)
    (call $w (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)
      (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)
      (local.get 0))))

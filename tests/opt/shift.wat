;; Shifts of shifts by constants are one; the sign of what was shifted with its sign is the sign it had. Counts are taken modulo the width.
;;passes fold dead
(module
  (func (param i32) (result i32 i32 i32 i32 i32)
    (i32.shr_u (i32.shr_s (local.get 0) (i32.const 37)) (i32.const 31))
    (i32.shl (i32.shl (local.get 0) (i32.const 3)) (i32.const 36))
    (i32.shr_s (i32.shr_s (local.get 0) (i32.const 20)) (i32.const 20))
    (i32.shr_u (i32.shr_u (local.get 0) (i32.const 20)) (i32.const 12))
    (i32.shr_u (i32.shr_s (local.get 0) (i32.const 5)) (i32.const 30)))
  (func (param i64) (result i64)
    (i64.shr_u (i64.shr_s (local.get 0) (i64.const 5)) (i64.const 63))))
;;| func 0 (i32) -> (i32 i32 i32 i32 i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v4 = i32.const 31
;;|     v5 = i32.shru v1 v4
;;|     v23 = i32.const 7
;;|     v9 = i32.shl v1 v23
;;|     v24 = i32.const 31
;;|     v13 = i32.shrs v1 v24
;;|     v17 = i32.const 0
;;|     v18 = i32.const 5
;;|     v19 = i32.shrs v1 v18
;;|     v20 = i32.const 30
;;|     v21 = i32.shru v19 v20
;;|     return v5 v9 v13 v17 v21
;;| func 1 (i64) -> (i64)
;;| b0:
;;|     v1 = i64.param 0
;;|     v4 = i64.const 63
;;|     v5 = i64.shru v1 v4
;;|     return v5

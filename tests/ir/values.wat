;; Rows of the table that are more than an operator: widths of loads and stores, signs of constants, select's order.
(module
  (memory 1)
  (func $memory (param i32)
    (i64.store32 offset=8 (local.get 0) (i64.load32_s (local.get 0)))
    (i32.store8 (local.get 0) (i32.load16_u offset=4294967295 (local.get 0)))
    (f32.store (local.get 0) (f32.load (local.get 0)))
    (f64.store (local.get 0) (f64.load (local.get 0))))
  (func $constants (result i32 i64 f32 f64)
    (i32.const -1) (i64.const -9223372036854775808) (f32.const -0) (f64.const nan))
  (func $select (param i32 f32 f32) (result f32)
    (select (local.get 1) (local.get 2) (local.get 0)))
  (func $convert (param f64) (result i64)
    (i64.add (i64.trunc_sat_f64_u (local.get 0)) (i64.trunc_f64_s (local.get 0))))
  (func $zero (result i64 externref) (local i32 i64 externref)
    (local.get 1) (local.get 2)))
;;| func 0 $memory (i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i64.load.32s v1 +0
;;|     store.32u v1 v2 +8
;;|     v4 = i32.load.16u v1 +4294967295
;;|     store.8u v1 v4 +0
;;|     v6 = f32.load v1 +0
;;|     store v1 v6 +0
;;|     v8 = f64.load v1 +0
;;|     store v1 v8 +0
;;|     return
;;| func 1 $constants () -> (i32 i64 f32 f64)
;;| b0:
;;|     v1 = i32.const -1
;;|     v2 = i64.const -9223372036854775808
;;|     v3 = f32.const 0x80000000
;;|     v4 = f64.const 0x7ff8000000000000
;;|     return v1 v2 v3 v4
;;| func 2 $select (i32 f32 f32) -> (f32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = f32.param 1
;;|     v3 = f32.param 2
;;|     v4 = f32.select v1 v2 v3
;;|     return v4
;;| func 3 $convert (f64) -> (i64)
;;| b0:
;;|     v1 = f64.param 0
;;|     v2 = i64.f2u.sat v1
;;|     v3 = i64.f2s v1
;;|     v4 = i64.add v2 v3
;;|     return v4
;;| func 4 $zero () -> (i64 externref)
;;| b0:
;;|     v1 = i64.const 0
;;|     return v1 v1

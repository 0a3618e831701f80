;; Small leaves are taken in: with one return, several, none; two in one block; not what calls, nor itself. Then blocks in a row become one.
;;passes inline fold merge dead
(module (memory 1)
  (func $sum (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $sign (param i32) (result i32)
    (if (i32.lt_s (local.get 0) (i32.const 0)) (then (return (i32.const -1))))
    (i32.load offset=8 (local.get 0)))
  (func $never (param i32) (result i32) unreachable)
  (func $pair (param i32) (result i32 i64) (local.get 0) (i64.extend_i32_u (local.get 0)))
  (func $calls (param i32) (result i32) (call $sum (call $sign (local.get 0)) (call $sum (local.get 0) (i32.const 1))))
  (func $ends (param i32) (result i32)
    (if (local.get 0) (then (local.set 0 (call $never (local.get 0)))))
    (local.get 0))
  (func $two (param i32) (result i64) (call $pair (call $two_not (local.get 0))) (local.set 0 (i32.wrap_i64)) (drop) (i64.extend_i32_s (local.get 0)))
  (func $two_not (param i32) (result i32) (call $calls (local.get 0))))
;;| func 0 $sum (i32 i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.param 1
;;|     v3 = i32.add v1 v2
;;|     return v3
;;| func 1 $sign (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 0
;;|     v3 = i32.lts v1 v2
;;|     branch v3 b1 b2
;;| b1: preds b0
;;|     v5 = i32.const -1
;;|     jump b3
;;| b2: preds b0
;;|     v7 = i32.load v1 +8
;;|     jump b3
;;| b3: preds b1 b2
;;|     v9 = i32.phi v5 v7
;;|     return v9
;;| func 2 $never (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     trap unreachable
;;| func 3 $pair (i32) -> (i32 i64)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i64.extu v1
;;|     return v1 v2
;;| func 4 $calls (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v13 = i32.const 0
;;|     v14 = i32.lts v1 v13
;;|     branch v14 b7 b8
;;| b7: preds b0
;;|     v16 = i32.const -1
;;|     jump b9
;;| b8: preds b0
;;|     v18 = i32.load v1 +8
;;|     jump b9
;;| b9: preds b7 b8
;;|     v20 = i32.phi v16 v18
;;|     v3 = i32.const 1
;;|     v10 = i32.add v1 v3
;;|     v7 = i32.add v20 v10
;;|     return v7
;;| func 5 $ends (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     branch v1 b1 b2
;;| b1: preds b0
;;|     trap unreachable
;;| b2: preds b0
;;|     return v1
;;| func 6 $two (i32) -> (i64)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.call f7 v1
;;|     v6 = i64.exts v2
;;|     return v6
;;| func 7 $two_not (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.call f4 v1
;;|     return v2

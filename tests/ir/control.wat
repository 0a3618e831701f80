;; if with and without else, blocks with results, br_table, returns, code behind a br, traps.
(module
  (func $if_else (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 3)) (else (i32.const 4))))
  (func $if (param i32 i64) (result i64)
    (if (i32.eqz (local.get 0)) (then (local.set 1 (i64.const -5))))
    (local.get 1))
  (func $table (param i32) (result i32)
    (block $a
      (block $b
        (block $c (br_table $a $b $a $c (local.get 0)))
        (return (i32.const 1)))
      (local.set 0 (i32.const 7)))
    (local.get 0))
  (func $skipped (param i32) (result i32)
    (block $out (result i32)
      (br $out (i32.const 1))
      (loop $l (br_if $l (local.get 0)))
      (if (then (br 0)) (else (unreachable)))
      (drop) (i32.const 2)))
  (func $same (param i32) (result i32)
    (block $x (local.set 0 (local.get 0)) (br_if $x (local.get 0)))
    (local.get 0))
  (func $trap (param i32)
    (br_if 0 (local.get 0))
    (unreachable))
  (func $params (param i32) (result i32 i32)
    (i32.const 1) (i32.const 2)
    (loop $l (param i32 i32) (result i32 i32)
      (br_if $l (local.get 0)))))
;;| func 0 $if_else (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     branch v1 b1 b2
;;| b1: preds b0
;;|     v3 = i32.const 3
;;|     jump b3
;;| b2: preds b0
;;|     v5 = i32.const 4
;;|     jump b3
;;| b3: preds b1 b2
;;|     v7 = i32.phi v3 v5
;;|     return v7
;;| func 1 $if (i32 i64) -> (i64)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i64.param 1
;;|     v3 = i32.const 0
;;|     v4 = i32.eq v1 v3
;;|     branch v4 b1 b2
;;| b1: preds b0
;;|     v6 = i64.const -5
;;|     jump b3
;;| b2: preds b0
;;|     jump b3
;;| b3: preds b1 b2
;;|     v9 = i64.phi v6 v2
;;|     return v9
;;| func 2 $table (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     switch v1 b1 b3 b1 b5
;;| b3: preds b0
;;|     jump b4
;;| b4: preds b3
;;|     v8 = i32.const 7
;;|     jump b2
;;| b1: preds b0 b0
;;|     jump b2
;;| b2: preds b1 b4
;;|     v10 = i32.phi v1 v8
;;|     jump b7
;;| b5: preds b0
;;|     jump b6
;;| b6: preds b5
;;|     v6 = i32.const 1
;;|     jump b7
;;| b7: preds b6 b2
;;|     v12 = i32.phi v6 v10
;;|     return v12
;;| func 3 $skipped (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 1
;;|     jump b1
;;| b1: preds b0
;;|     return v2
;;| func 4 $same (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     branch v1 b1 b2
;;| b2: preds b0
;;|     jump b1
;;| b1: preds b0 b2
;;|     return v1
;;| func 5 $trap (i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     branch v1 b1 b2
;;| b2: preds b0
;;|     trap unreachable
;;| b1: preds b0
;;|     return
;;| func 6 $params (i32) -> (i32 i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 1
;;|     v3 = i32.const 2
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     branch v1 b1 b2
;;| b2: preds b1
;;|     return v2 v3
